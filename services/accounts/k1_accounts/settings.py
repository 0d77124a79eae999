"""The settings of accounts, from the environment: K1_ACCOUNTS_*."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from k1_contracts.messages.accounts.authentication import ProviderId
from k1_platform.settings import HttpSettings

_SAFE_ISSUERS: Final = ("https://", "http://127.0.0.1:", "http://localhost:")
Security = Literal["none", "starttls", "tls"]


class ProviderSettings(BaseModel):
    """A sign-in provider; one object in the JSON array K1_ACCOUNTS_PROVIDERS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ProviderId
    kind: Literal["google", "github", "oidc"]
    client_id: str
    client_secret: SecretStr
    name: str | None = None
    """What people read; by default that of the preset, or the id."""
    issuer: str | None = None
    """Of a provider of the kind `oidc`, as in its discovery document."""

    @model_validator(mode="after")
    def _oidc_has_an_issuer(self) -> Self:
        if (self.kind == "oidc") != (self.issuer is not None):
            raise ValueError("a provider of the kind oidc needs an issuer, the others have none")
        if self.issuer is not None and not self.issuer.startswith(_SAFE_ISSUERS):
            raise ValueError("the issuer has to be an https:// URL, or one of this machine")
        return self


class AccountsSettings(HttpSettings):
    """The settings of accounts alone; the platform's settings name the servers."""

    model_config = SettingsConfigDict(env_prefix="K1_ACCOUNTS_")

    keys: Path = Field(
        default=Path("/var/lib/k1/account-keys"),
        description="The folder of the keys that sign access tokens; the service makes the first one.",
    )
    issuer: str = Field(default="k1-accounts", description="`iss` of the access tokens.")
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="Where people reach the web page: for the links in messages and the callback of providers.",
    )
    sign_up: Literal["open", "invited"] = Field(
        default="invited",
        description="Whether anyone may sign up (as viewer), or only who was invited by an administrator.",
    )
    hash_workers: int = Field(
        default=2, ge=1, description="Passwords that one process hashes at a time; each takes 64 MiB."
    )
    smtp_host: str | None = Field(
        default=None, description="The mail server; without it messages wait until there is one."
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="The port of the mail server.")
    smtp_security: Security = Field(
        default="starttls", description="none, starttls or tls (from the first byte, port 465)."
    )
    smtp_ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of the mail server; without it those of the system are trusted.",
    )
    smtp_username: str | None = Field(default=None, description="The user at the mail server.")
    smtp_password: SecretStr | None = Field(default=None, description="The password of that user.")
    smtp_from: str = Field(default="k1@localhost", description="The sender of the messages.")
    providers: tuple[ProviderSettings, ...] = Field(
        default=(), description="The sign-in providers, a JSON array; see docs/accounts.md."
    )
