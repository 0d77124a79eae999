"""`POST /graphql` for queries and mutations, `GET /graphql` as a WebSocket for subscriptions, and the page to try them."""

from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from aiohttp import web
from strawberry.aiohttp.views import GraphQLView
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from typing_extensions import override

from k1_gateway.errors import ProblemError
from k1_gateway.graphql.loaders import Readers
from k1_gateway.graphql.schema import SCHEMA, GraphQLRequest, execute
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import read_document

_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade"}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
_PAGE_FILES: Final = {"": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript"), "/page.css": ("page.css", "text/css")}  # fmt: skip


async def run_graphql(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Run a document. The status is 200 also where fields failed: `errors` says which."""
    body = await read_document(request, GraphQLRequest)
    return uncached_response(
        (await execute(Readers(context, request.remote), body)).to_json(), endpoint.status
    )


async def subscribe(context: GatewayContext, request: web.Request, _: Endpoint) -> web.StreamResponse:
    """Serve a WebSocket with the subprotocol graphql-transport-ws."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        detail = (
            "Subscriptions need a WebSocket (graphql-transport-ws); send queries by POST, or open /graphql."
        )
        raise ProblemError("upgrade_required", HTTPStatus.UPGRADE_REQUIRED, detail, headers=_UPGRADE)
    return await _Subscriptions(context)(request)


class _Subscriptions(GraphQLView[Readers, None]):
    """Strawberry's server of the protocol, with our context."""

    def __init__(self, context: GatewayContext) -> None:
        super().__init__(
            SCHEMA, graphql_ide=None, allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
        )  # fmt: skip
        self._gateway = context

    @override
    async def get_context(self, request: web.Request, response: Any) -> Readers:
        return Readers(self._gateway, request.remote)


def make_page_routes() -> list[web.RouteDef]:
    """Return the routes of the page that tries documents: it loads nothing from elsewhere."""
    package = files("k1_gateway.graphql")
    pages = {
        path: (package.joinpath(name).read_text("utf-8"), kind) for path, (name, kind) in _PAGE_FILES.items()
    }
    pages["/schema.graphql"] = (SCHEMA.as_str(), "text/plain")
    return [web.get(f"/graphql{path}", _page_handler(*page)) for path, page in pages.items()]


def _page_handler(text: str, media_type: str) -> Any:
    async def handle(_: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=media_type, headers=headers)

    return handle
