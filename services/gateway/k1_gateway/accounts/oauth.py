"""Signs people in by a provider (OAuth 2): sends the browser there, and takes it back.

Both responses redirect, as a person looks at them. A failure leads to the sign-in page with its code.
"""

from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from pydantic import Field, ValidationError

from k1_contracts.base import Contract
from k1_contracts.messages.accounts.authentication import (
    OAUTH_FINISH,
    OAUTH_START,
    FinishOAuth,
    LocalPath,
    OAuthFinished,
    OAuthStarted,
    ProviderId,
    StartOAuth,
)
from k1_gateway.access.gate import client_of
from k1_gateway.accounts.sign_in import set_session_cookies
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_platform.nats.queries.rpc import QueryError

_SIGN_IN_PAGE: Final = "/sign-in"


class BeginOAuth(Contract):
    """The provider, and where to go afterwards."""

    provider: ProviderId
    return_to: LocalPath = "/"
    """Where the browser goes after the sign-in."""


class OAuthCallback(Contract):
    """What a provider adds to the address; parameters that are not listed are ignored."""

    provider: ProviderId
    state: str | None = Field(default=None, max_length=500)
    code: str | None = Field(default=None, max_length=4000)
    error: str | None = Field(default=None, max_length=200)


async def begin(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Redirect to the provider, and bind the answer to this browser by a cookie."""
    asked = build_query(request, BeginOAuth, params=endpoint.query_params)
    query = StartOAuth(provider=asked.provider, return_to=asked.return_to, client=client_of(request))
    try:
        started = OAuthStarted.model_validate_json(await context.send_query(OAUTH_START, query))
    except QueryError as error:
        return _failed(error.code)
    response = _redirect(started.authorization_url)
    cookies = context.gate.cookies
    # Lax: the browser comes back from the provider's site, and would not send a Strict cookie then.
    cookies.set(response, cookies.oauth, started.browser_token, started.expires_at, "Lax")
    return response


async def finish(context: GatewayContext, request: web.Request, _endpoint: Endpoint) -> web.Response:
    """Sign in by what the provider sent, and redirect to where the person wanted to go."""
    cookies = context.gate.cookies
    response = await _finish(context, request)
    cookies.clear(response, cookies.oauth)
    return response


async def _finish(context: GatewayContext, request: web.Request) -> web.Response:
    given: dict[str, Any] = {
        name: request.query[name] for name in ("state", "code", "error") if name in request.query
    }
    try:
        query = FinishOAuth(
            provider=request.match_info["provider"],
            browser_token=request.cookies.get(context.gate.cookies.oauth, ""),
            client=client_of(request),
            **{"state": "", **given},
        )
    except ValidationError:
        return _failed("oauth_failed")
    try:
        finished = OAuthFinished.model_validate_json(await context.send_query(OAUTH_FINISH, query))
    except QueryError as error:
        return _failed(error.code)
    response = _redirect(finished.return_to)
    set_session_cookies(context, response, finished.signed_in)
    return response


def _failed(code: str) -> web.Response:
    return _redirect(f"{_SIGN_IN_PAGE}?{urlencode({'error': code})}")


def _redirect(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
