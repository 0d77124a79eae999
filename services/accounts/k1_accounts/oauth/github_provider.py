"""Sign-in with GitHub, which has OAuth 2 with PKCE but no OpenID Connect: the person comes from its REST API."""

from dataclasses import dataclass
from typing import Final

from k1_accounts.oauth.http import get_list, get_object, oauth_client
from k1_accounts.oauth.identity import FlowSecrets, Identity

_AUTHORIZE: Final = "/login/oauth/authorize"
_EXCHANGE: Final = "/login/oauth/access_token"
_SCOPE: Final = "read:user user:email"


@dataclass(frozen=True, slots=True)
class GitHubProvider:
    """github.com."""

    id: str
    name: str
    client_id: str
    client_secret: str
    site: str = "https://github.com"
    api: str = "https://api.github.com"

    async def authorization_url(self, secrets: FlowSecrets, redirect_uri: str) -> str:
        """Return where to send the browser."""
        async with oauth_client(client_id=self.client_id, redirect_uri=redirect_uri, scope=_SCOPE) as client:
            url, _ = client.create_authorization_url(
                f"{self.site}{_AUTHORIZE}", state=secrets.state, code_verifier=secrets.code_verifier
            )
            return str(url)

    async def identify(self, code: str, secrets: FlowSecrets, redirect_uri: str) -> Identity:
        """Exchange the code and return who signed in, with the primary address if it is verified.

        Raises:
            ProviderError: GitHub does not answer.
            RefusedError: the code is not valid.
        """
        async with oauth_client(
            client_id=self.client_id,
            client_secret=self.client_secret,
            redirect_uri=redirect_uri,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106  the name of a method
        ) as client:
            await client.fetch_token(
                f"{self.site}{_EXCHANGE}",
                code=code,
                code_verifier=secrets.code_verifier,
                headers={"Accept": "application/json"},
            )
            user = await get_object(client, f"{self.api}/user")
            addresses = await get_list(client, f"{self.api}/user/emails")
        primary = next((each for each in addresses if each.get("primary") is True), {})
        return Identity(
            subject=str(user["id"]),
            email=primary.get("email"),
            email_verified=primary.get("verified") is True,
            name=user.get("name") or user.get("login"),
        )
