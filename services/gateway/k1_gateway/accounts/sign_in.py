"""Signs people in, keeps them signed in and signs them out: tokens in the body for programs, in cookies for browsers."""

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import SessionId
from k1_contracts.messages.accounts.authentication import AUTH_LOGOUT, AUTH_REFRESH, Logout, Refresh, SignedIn
from k1_contracts.messages.accounts.users import Email, Password, Secret, UserView
from k1_gateway.access.gate import client_of, require_csrf_header
from k1_gateway.errors import ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_responses import problem_response, query_problem
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import build_query, read_body_fields
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError

_MAX_TOKEN: Final = 500


class SessionStarted(Contract):
    """A session, with its tokens unless they are in cookies."""

    session_id: SessionId
    user: UserView
    access_token: str | None = None
    """Send it as `Authorization: Bearer ...`; absent where the cookies hold it."""
    access_expires_at: UtcTime
    refresh_token: str | None = None
    """For POST /auth/refresh; each use gives another one. Absent where the cookies hold it."""
    refresh_expires_at: UtcTime


class _Form(Contract):
    cookies: bool = False
    """Put the tokens into HttpOnly cookies instead of the body: for pages in a browser."""


class LoginForm(_Form):
    """An e-mail address and its password."""

    email: Email
    password: Password


class LinkForm(_Form):
    """A token that works once."""

    token: Secret


class RefreshForm(Contract):
    """The refresh token, where no cookie holds it."""

    refresh_token: str | None = Field(default=None, max_length=500)
    """Absent: the cookie holds it, and the new one goes there."""


class LogoutForm(Contract):
    """The refresh token of the session that ends."""

    refresh_token: str | None = Field(default=None, max_length=500)
    """Absent: the session of the cookie, or of the access token, ends."""


async def sign_in(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Start a session by what the body proves, a password or a one-time token."""
    assert isinstance(endpoint.query, Query)
    form = await _read(request, endpoint, _Form)
    fields = {**form.model_dump(exclude={"cookies"}), "client": client_of(request)}
    query = endpoint.query.model.model_validate(fields)
    signed_in = SignedIn.model_validate_json(await context.send_query(endpoint.query, query))
    return session_response(context, signed_in, by_cookie=form.cookies)


async def refresh(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Exchange the refresh token of the body or the cookie. A token that is not accepted is removed from the browser."""
    form = await _read(request, endpoint, RefreshForm)
    by_cookie = form.refresh_token is None
    token = form.refresh_token or request.cookies.get(context.gate.cookies.refresh)
    if by_cookie:
        require_csrf_header(request)
    try:
        signed_in = await _exchange(context, request, token)
    except QueryError as error:
        if error.status != HTTPStatus.UNAUTHORIZED:
            raise
        response = problem_response(query_problem(error))
        if by_cookie:
            _clear(context, response)
        return response
    return session_response(context, signed_in, by_cookie=by_cookie)


async def _exchange(context: GatewayContext, request: web.Request, token: str | None) -> SignedIn:
    if not token or len(token) > _MAX_TOKEN:
        raise QueryError("session_ended", "There is no refresh token; sign in.", HTTPStatus.UNAUTHORIZED)
    query = Refresh(refresh_token=token, client=client_of(request))
    return SignedIn.model_validate_json(await context.send_query(AUTH_REFRESH, query))


async def sign_out(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """End the session of the refresh token, or of the access token, and remove the cookies. It never fails for them."""
    form = await _read(request, endpoint, LogoutForm)
    cookies = context.gate.cookies
    token = form.refresh_token or request.cookies.get(cookies.refresh)
    if form.refresh_token is None and {cookies.access, cookies.refresh} & set(request.cookies):
        require_csrf_header(request)
    try:
        identity = await context.gate.identify(request)
    except ProblemError:
        identity = None  # an expired access token must not keep anyone from signing out
    query = Logout(
        refresh_token=token if token and len(token) <= _MAX_TOKEN else None,
        session_id=identity.session_id if identity else None,
        client=client_of(request),
    )
    with acting_as(identity.actor if identity and identity.session_id else None):
        await context.send_query(AUTH_LOGOUT, query)
    response = web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    _clear(context, response)
    return response


def session_response(context: GatewayContext, signed_in: SignedIn, *, by_cookie: bool) -> web.Response:
    """Return a session as the response: its tokens in the body, or in cookies."""
    hidden: set[str] = {"access_token", "refresh_token"} if by_cookie else set()
    started = SessionStarted.model_validate(signed_in.model_dump(exclude=hidden))
    response = uncached_response(started.to_json(), HTTPStatus.OK)
    if by_cookie:
        set_session_cookies(context, response, signed_in)
    return response


def set_session_cookies(context: GatewayContext, response: web.StreamResponse, signed_in: SignedIn) -> None:
    """Put the tokens of a session into the browser."""
    cookies = context.gate.cookies
    # Both stay until the refresh token ends: an expired access token says "refresh", no token says "sign in".
    cookies.set(response, cookies.access, signed_in.access_token, signed_in.refresh_expires_at)
    cookies.set(response, cookies.refresh, signed_in.refresh_token, signed_in.refresh_expires_at)


def _clear(context: GatewayContext, response: web.StreamResponse) -> None:
    cookies = context.gate.cookies
    cookies.clear(response, cookies.access, cookies.refresh)


async def _read(request: web.Request, endpoint: Endpoint, model: type[Any]) -> Any:
    """Return the body as the endpoint's form, a kind of `model`."""
    assert endpoint.parameter_model is not None
    assert issubclass(endpoint.parameter_model, model)
    fields = await read_body_fields(request, endpoint.body_fields)
    return build_query(request, endpoint.parameter_model, extra=fields)
