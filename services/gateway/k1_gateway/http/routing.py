"""Makes aiohttp's routes from the table of endpoints."""

from collections.abc import Iterable

from aiohttp import web

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import BASE_PATH, Endpoint


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
        if endpoint.rate_limit is None:
            return await endpoint.handler(context, request, endpoint)
        async with context.rate_limiter.admit(endpoint.rate_limit, request.remote) as headers:
            response = await endpoint.handler(context, request, endpoint)
        if not response.prepared:
            response.headers.update(headers)
        return response

    return web.route(endpoint.method, BASE_PATH + endpoint.path, handle)


def _method_not_allowed(path: str, endpoints: Iterable[Endpoint]) -> web.RouteDef:
    """Return the route for other methods of a literal path; else a path with a field would match it."""
    methods = {endpoint.method for endpoint in endpoints if endpoint.path == path}
    allowed = methods | ({"HEAD"} if "GET" in methods else set[str]())

    async def reject(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return web.route("*", BASE_PATH + path, reject)
