"""What describes the API: OpenAPI, the bus's AsyncAPI, and a page to read."""

import base64
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

from aiohttp import web
from pydantic import JsonValue, RootModel

from k1_gateway.api import Api
from k1_gateway.caching import cacheable
from k1_gateway.endpoints import Endpoint

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Document(RootModel[dict[str, JsonValue]]):
    """A document that describes itself."""


async def openapi(api: Api, request: web.Request, _endpoint: Endpoint) -> web.Response:
    """Made from the route table, so it cannot lag behind."""
    return cacheable(request, api.description)


async def asyncapi(_api: Api, request: web.Request, _endpoint: Endpoint) -> web.Response:
    """As it was generated from the contracts."""
    return cacheable(request, _asyncapi_json())


async def home(_request: web.Request) -> web.Response:
    """Lead whoever opens the gateway's address to the page that describes it."""
    headers = {"Location": "/docs", "Cache-Control": "no-store"}
    return web.Response(status=302, text="The page is at /docs.\n", headers=headers)


async def page(_request: web.Request) -> web.Response:
    """The page reads openapi.json; it needs nothing from anywhere else."""
    text, policy = _page()
    return web.Response(
        text=text,
        content_type="text/html",
        headers={"Content-Security-Policy": policy, "Cache-Control": "private, no-cache"},
    )


@cache
def _asyncapi_json() -> bytes:
    return (files("k1_contracts") / "generated" / "asyncapi.json").read_bytes()


@cache
def _page() -> tuple[str, str]:
    text = (files("k1_gateway") / "docs.html").read_text(encoding="utf-8")
    hashes = {
        kind: base64.b64encode(sha256(content.encode()).digest()).decode()
        for kind, content in _INLINE.findall(text)
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
