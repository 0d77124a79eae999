"""Sign-in with an OpenID Connect provider: discovery, the code flow with PKCE, and the checks of the ID token.

Source: OpenID Connect Core 1.0, sections 3.1.3.7 and 5.1; RFC 9700.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import jwt

from k1_accounts.oauth.http import get_object, oauth_client
from k1_accounts.oauth.identity import FlowSecrets, Identity, ProviderError, RefusedError

_SCOPE: Final = "openid email profile"
_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Never `none`, and none with a shared secret."""
_LEEWAY_S: Final = 60
_CACHED: Final = timedelta(hours=1)


class _Discovered(NamedTuple):
    """What the provider publishes about itself."""

    metadata: dict[str, Any]
    keys: jwt.PyJWKSet
    at: datetime


@dataclass(slots=True)
class OidcProvider:
    """A provider that follows OpenID Connect, such as Google."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    clock: Callable[[], datetime]
    _discovered: _Discovered | None = field(default=None, init=False)

    async def authorization_url(self, secrets: FlowSecrets, redirect_uri: str) -> str:
        """Return where to send the browser.

        Raises:
            ProviderError: the provider does not answer.
        """
        discovered = await self._discover()
        async with oauth_client(client_id=self.client_id, redirect_uri=redirect_uri, scope=_SCOPE) as client:
            url, _ = client.create_authorization_url(
                discovered.metadata["authorization_endpoint"],
                state=secrets.state,
                code_verifier=secrets.code_verifier,
                nonce=secrets.nonce,
            )
            return str(url)

    async def identify(self, code: str, secrets: FlowSecrets, redirect_uri: str) -> Identity:
        """Exchange the code and return who signed in.

        Raises:
            ProviderError: the provider does not answer, or breaks the standard.
            RefusedError: the code or the ID token is not valid.
        """
        discovered = await self._discover()
        metadata = discovered.metadata
        async with oauth_client(
            client_id=self.client_id,
            client_secret=self.client_secret,
            redirect_uri=redirect_uri,
            token_endpoint_auth_method=_auth_method(metadata),
        ) as client:
            token = await client.fetch_token(
                metadata["token_endpoint"], code=code, code_verifier=secrets.code_verifier
            )
            claims = await self._verify(str(token["id_token"]), secrets, discovered)
            if claims.get("email") is None and "userinfo_endpoint" in metadata:
                more = await get_object(client, metadata["userinfo_endpoint"])
                if more.get("sub") != claims["sub"]:
                    raise RefusedError("The provider named two different people")
                claims = {**more, **claims}
        return _identity(claims)

    async def _verify(self, id_token: str, secrets: FlowSecrets, discovered: _Discovered) -> dict[str, Any]:
        """Return the claims of an ID token that this provider signed for this client and this sign-in."""
        try:
            header = jwt.get_unverified_header(id_token)
            key = _find_key(discovered.keys, header.get("kid"))
            if key is None:
                key = _find_key((await self._discover(fresh=True)).keys, header.get("kid"))
            if key is None:
                raise RefusedError("The provider signed with an unknown key")
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=_ALGORITHMS,
                audience=self.client_id,
                issuer=self.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise RefusedError("The provider sent a token that is not valid") from error
        if claims.get("azp", self.client_id) != self.client_id:
            raise RefusedError("The provider sent a token for another program")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), secrets.nonce.encode()):
            raise RefusedError("The provider answered another sign-in")
        return claims

    async def _discover(self, *, fresh: bool = False) -> _Discovered:
        now, known = self.clock(), self._discovered
        if known is not None and not fresh and now - known.at < _CACHED:
            return known
        async with oauth_client() as client:
            url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            metadata = await get_object(client, url, withhold_token=True)
            if metadata.get("issuer") != self.issuer:
                raise ProviderError(f"{url} is the document of another issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not isinstance(metadata.get(name), str):
                    raise ProviderError(f"{url} has no {name}")
            document = await get_object(client, metadata["jwks_uri"], withhold_token=True)
        try:
            keys = jwt.PyJWKSet.from_dict(document)
        except jwt.PyJWTError as error:
            raise ProviderError("the provider's keys cannot be used") from error
        self._discovered = _Discovered(metadata, keys, now)
        return self._discovered


def _find_key(keys: jwt.PyJWKSet, kid: object) -> jwt.PyJWK | None:
    if kid is None and len(keys.keys) == 1:
        return keys.keys[0]
    return next((key for key in keys.keys if key.key_id == kid), None)


def _auth_method(metadata: dict[str, Any]) -> str:
    supported = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"


def _identity(claims: dict[str, Any]) -> Identity:
    email, name = claims.get("email"), claims.get("name")
    return Identity(
        subject=str(claims["sub"]),
        email=email if isinstance(email, str) else None,
        # Some providers send it as a text.
        email_verified=claims.get("email_verified") is True or claims.get("email_verified") == "true",
        name=name if isinstance(name, str) else None,
    )
