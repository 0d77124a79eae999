"""The documents that describe the system: OpenAPI for the API, AsyncAPI for the bus, and a page for people."""

import base64
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

from aiohttp import web
from pydantic import JsonValue, RootModel

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import cacheable_response

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Document(RootModel[dict[str, JsonValue]]):
    """A JSON document in a standard format."""


async def get_openapi(context: GatewayContext, request: web.Request, _endpoint: Endpoint) -> web.Response:
    """Return the OpenAPI document. It is made from the table of endpoints, so it is always current."""
    return cacheable_response(request, context.openapi_json)


async def get_asyncapi(context: GatewayContext, request: web.Request, _endpoint: Endpoint) -> web.Response:
    """Return the AsyncAPI document of the bus and the WebSocket, which is made from the contracts."""
    return cacheable_response(request, context.asyncapi_json)


async def get_docs_page(_request: web.Request) -> web.Response:
    """Return the page. It reads openapi.json and nothing from other hosts."""
    text, policy = _read_page()
    return web.Response(
        text=text,
        content_type="text/html",
        headers={"Content-Security-Policy": policy, "Cache-Control": "private, no-cache"},
    )


@cache
def _read_page() -> tuple[str, str]:
    text = (files("k1_gateway.about") / "docs.html").read_text(encoding="utf-8")
    hashes = {
        kind: base64.b64encode(sha256(content.encode()).digest()).decode()
        for kind, content in _INLINE.findall(text)
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
