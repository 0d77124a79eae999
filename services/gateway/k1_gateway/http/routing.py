"""Makes aiohttp's routes from the table of endpoints, and lets in who may call each of them."""

from collections.abc import Iterable
from typing import Final

from aiohttp import web

from k1_gateway.access.identity import Identity
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import BASE_PATH, Endpoint
from k1_gateway.http.repeated_requests import answer_once
from k1_gateway.http.session_end import SESSION_END, session_end
from k1_platform.nats.actors import acting_as
from k1_platform.service import STOPPING

IDENTITY: Final = web.RequestKey("identity", Identity)
"""The key of a request to its verified sender; requests to public endpoints have none."""


def make_api_routes(context: GatewayContext, endpoints: Iterable[Endpoint]) -> list[web.RouteDef]:
    """Return a route for each endpoint, and one that answers 405 for the other methods of each literal path."""
    endpoints = tuple(endpoints)
    literal = dict.fromkeys(endpoint.path for endpoint in endpoints if endpoint.is_literal)
    return [
        *(_route(context, endpoint) for endpoint in endpoints),
        *(_method_not_allowed(path, endpoints) for path in literal),
    ]


def _route(context: GatewayContext, endpoint: Endpoint) -> web.RouteDef:
    async def handle(request: web.Request) -> web.StreamResponse:
        if endpoint.public:
            return await _limited(context, request, endpoint, None)
        identity = await context.gate.admit(request, endpoint.least_role)
        request[IDENTITY] = identity
        with acting_as(identity.actor):
            return await _limited(context, request, endpoint, identity)

    return web.route(endpoint.method, BASE_PATH + endpoint.path, handle)


async def _limited(
    context: GatewayContext, request: web.Request, endpoint: Endpoint, identity: Identity | None
) -> web.StreamResponse:
    """Call the handler within the allowance of the caller."""
    if endpoint.limit is None:
        return await _call(context, request, endpoint, identity)
    actor = identity.actor if identity else None
    async with context.rate_limiter.admit(endpoint.limit, request.remote, actor) as headers:
        response = await _call(context, request, endpoint, identity)
    if not response.prepared:
        response.headers.update(headers)
    return response


async def _call(
    context: GatewayContext, request: web.Request, endpoint: Endpoint, identity: Identity | None
) -> web.StreamResponse:
    if endpoint.is_change:
        await context.require_changes_allowed()
    if not endpoint.is_stream:
        if identity is None or endpoint.answers_repeats != "stored":
            return await endpoint.handler(context, request, endpoint)
        return await answer_once(
            context, request, endpoint, identity.actor, lambda: endpoint.handler(context, request, endpoint)
        )
    async with session_end(context.gate, identity, request.app[STOPPING]) as end:
        request[SESSION_END] = end
        return await endpoint.handler(context, request, endpoint)


def _method_not_allowed(path: str, endpoints: Iterable[Endpoint]) -> web.RouteDef:
    """Return the route for other methods of a literal path; else a path with a field would match it."""
    methods = {endpoint.method for endpoint in endpoints if endpoint.path == path}
    allowed = methods | ({"HEAD"} if "GET" in methods else set[str]())

    async def reject(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return web.route("*", BASE_PATH + path, reject)
