"""Runs an object store with faults, as a real HTTP server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Respond = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
"""(request, number of earlier requests) -> response."""


@asynccontextmanager
async def http_store(respond: Respond) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the URL of one object, and the list of the `Range` headers of all requests."""
    ranges: list[str] = []

    async def get(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range", ""))
        return await respond(request, len(ranges) - 1)

    app = web.Application()
    app.router.add_get("/bundle", get)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/bundle", ranges
    finally:
        await runner.cleanup()


def part(request: web.Request, data: bytes, *, status: int = 206) -> web.Response:
    """Return the requested range."""
    first, last = (int(number) for number in request.headers["Range"].removeprefix("bytes=").split("-"))
    body = data[first : last + 1]
    header = f"bytes {first}-{first + len(body) - 1}/{len(data)}"
    return web.Response(status=status, body=body, headers={"Content-Range": header})
