"""Makes the providers that the settings name."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol

from k1_accounts.oauth.github_provider import GitHubProvider
from k1_accounts.oauth.identity import FlowSecrets, Identity
from k1_accounts.oauth.oidc_provider import OidcProvider
from k1_accounts.settings import ProviderSettings

_GOOGLE: Final = "https://accounts.google.com"


class Provider(Protocol):
    """A sign-in provider."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    async def authorization_url(self, secrets: FlowSecrets, redirect_uri: str) -> str: ...

    async def identify(self, code: str, secrets: FlowSecrets, redirect_uri: str) -> Identity: ...


def make_providers(
    settings: Iterable[ProviderSettings], clock: Callable[[], datetime]
) -> Mapping[str, Provider]:
    """Return the providers by their ids, in the order of the settings."""
    return {each.id: _make(each, clock) for each in settings}


def _make(settings: ProviderSettings, clock: Callable[[], datetime]) -> Provider:
    secret = settings.client_secret.get_secret_value()
    if settings.kind == "github":
        return GitHubProvider(settings.id, settings.name or "GitHub", settings.client_id, secret)
    if settings.kind == "google":
        name = settings.name or "Google"
        return OidcProvider(settings.id, name, _GOOGLE, settings.client_id, secret, clock)
    assert settings.issuer is not None, "the settings demand it"
    name = settings.name or settings.id
    return OidcProvider(settings.id, name, settings.issuer, settings.client_id, secret, clock)
