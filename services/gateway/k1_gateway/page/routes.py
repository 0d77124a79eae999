"""Serves the page at `/` and at every address inside it, and the files that it loads."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.entity_tags import if_none_match_tags, weak_tag_headers
from k1_gateway.page.bundle import PRELOADS, BundleFile, read_bundle, read_preloads
from k1_platform.settings import ObjectStoreSettings

_INDEX: Final = "index.html"
_HASHED: Final = "assets/"
"""Files below have the hash of their content in the name, so they never change."""
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_RESERVED: Final = "api|docs|graphql|livez|readyz|metrics|assets"
"""First parts of addresses that are never the page's: what is missing there is missing, for people too."""
_FOR_EVERYONE: Final = frozenset({"sign-in", "register", "reset", "verify", "accept"})
"""First parts of the addresses of pages that need no sign-in."""
_LIBRARY: Final = ("/", "/tracks")
_FIRST_CALL: Final = "/api/v1/me"
_LIBRARY_CALL: Final = "/api/v1/tracks?sort=newest&limit=100&offset=0"
"""As the page asks for its first tracks: if it asks otherwise, the browser warns of a preload that was not used."""


def make_page_routes(context: GatewayContext) -> list[web.RouteDef]:
    """Return the routes of the files of the bundle, and of the addresses inside the page."""
    bundle = read_bundle()
    if _INDEX not in bundle:
        return []
    index = _index_handler(context, bundle)
    return [
        *(
            web.get(f"/{path}", _file_handler(path, file))
            for path, file in bundle.items()
            if path not in {_INDEX, PRELOADS}
        ),
        web.get("/", index),
        web.get("/sign-in", index),
        # Last, and for every method: other methods of an unknown address are answered as before, by 404.
        web.route("*", f"/{{page:(?!(?:{_RESERVED})(?:/|$))[^.]+}}", _only_for_people(index)),
    ]


def _file_handler(path: str, file: BundleFile) -> Handler:
    headers = {"Cache-Control": _FOR_EVER} if path.startswith(_HASHED) else {}

    async def handle(request: web.Request) -> web.Response:
        return respond(request, file, headers)

    return handle


def _index_handler(context: GatewayContext, bundle: Mapping[str, BundleFile]) -> Handler:
    headers = {"Content-Security-Policy": make_policy(ObjectStoreSettings())}
    preloads = read_preloads(bundle)

    async def handle(request: web.Request) -> web.Response:
        signed_in = context.gate.cookies.access in request.cookies
        links = announce(request.path_qs, preloads) if signed_in else []
        return respond(request, bundle[_INDEX], headers | ({"Link": ", ".join(links)} if links else {}))

    return handle


def announce(address: str, preloads: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the values of the header `Link` for an address: what the page of a signed-in person needs first.

    The browser asks for all of it at once. Else it would find each file in the one before: a round trip for each step.
    """
    path = urlsplit(address).path
    if path.split("/")[1] in _FOR_EVERYONE:
        return []
    calls = [_FIRST_CALL, *([_LIBRARY_CALL] if address in _LIBRARY else [])]
    needed = ("first", "track") if path.startswith("/tracks/") else ("first",)
    files = dict.fromkeys(file for part in needed for file in preloads[part])
    return [*map(_link_to_call, calls), *map(_link_to_file, files)]


def _link_to_call(path: str) -> str:
    return f"<{path}>; rel=preload; as=fetch; crossorigin"


def _link_to_file(path: str) -> str:
    kind = "preload; as=style" if path.endswith(".css") else "modulepreload"
    return f"</{path}>; rel={kind}; crossorigin"


def _only_for_people(index: Handler) -> Handler:
    """Return the handler of addresses inside the page: programs that ask for them get 404 as from any other."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"} or "text/html" not in request.headers.get("Accept", ""):
            raise web.HTTPNotFound
        return await index(request)

    return handle


def respond(request: web.Request, file: BundleFile, headers: Mapping[str, str]) -> web.Response:
    """Return a file in the encoding that the client prefers, or 304 where it holds the content."""
    head = {**weak_tag_headers(file.tag), "Vary": "Accept-Encoding", **headers}
    held = if_none_match_tags(request)
    if file.tag in held or "*" in held:
        return web.Response(status=304, headers=head)
    encoding, body = file.choose(request.headers.get("Accept-Encoding", ""))
    if encoding is not None:
        head["Content-Encoding"] = encoding
    charset = "utf-8" if file.media_type.startswith("text/") else None
    return web.Response(body=body, content_type=file.media_type, charset=charset, headers=head)


def make_policy(store: ObjectStoreSettings) -> str:
    """Return the Content Security Policy of the page: its own files, the API, and signed URLs of the object store."""
    url = urlsplit(store.public_url or store.url)
    origin = f"{url.scheme}://{url.netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; worker-src 'self'; "
        f"connect-src 'self' {origin}; img-src 'self' data: blob: {origin}; media-src 'self' blob: {origin}; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
