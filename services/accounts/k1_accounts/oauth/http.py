"""Sends requests to providers: short timeouts, no redirects, every failure a ProviderError."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from k1_accounts.oauth.identity import ProviderError, RefusedError

_TIMEOUT_S: Final = 4.0


@asynccontextmanager
async def oauth_client(**options: Any) -> AsyncGenerator[Any]:
    """Open a client of a provider.

    Raises:
        ProviderError: the provider does not answer, or not with JSON.
        RefusedError: the provider refuses the code.
    """
    try:
        # Any: authlib chooses the base class, that of httpx2, when it is imported.
        session: Any = AsyncOAuth2Client(
            timeout=_TIMEOUT_S, follow_redirects=False, code_challenge_method="S256", **options
        )
        async with session:
            yield session
    except OAuthError as error:
        raise RefusedError("The provider refused the sign-in") from error
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise ProviderError(repr(error)) from error


async def get_object(client: Any, url: str, **options: Any) -> dict[str, Any]:
    """Return a JSON object."""
    found = await _get(client, url, **options)
    if not isinstance(found, dict):
        raise ProviderError(f"{url} is no JSON object")
    return cast("dict[str, Any]", found)


async def get_list(client: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    """Return a JSON array of objects."""
    found = await _get(client, url, **options)
    if not isinstance(found, list):
        raise ProviderError(f"{url} is no JSON array")
    return [cast("dict[str, Any]", each) for each in cast("list[Any]", found) if isinstance(each, dict)]


async def _get(client: Any, url: str, **options: Any) -> Any:
    response = await client.request("GET", url, **options)
    response.raise_for_status()
    return response.json()
