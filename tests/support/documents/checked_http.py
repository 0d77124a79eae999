"""Checks every exchange between a test and a gateway against the OpenAPI document.

The transports of httpx are wrapped for the whole run, so that no test can forget the check. These fail the test that
made the request: an undocumented status, content type, header or field, a response that breaks its schema, a request
that is accepted although it breaks its schema, and one that is refused as malformed although it fits.
"""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import unquote

import httpx
import pytest

from tests.support.documents.api_document import BASE_PATH, EVENT_STREAM, ApiDocument, Operation, committed

MALFORMED: Final = {"invalid_parameter", "invalid_body", "malformed_json", "unsupported_media_type"}
_RULE: Final = "request"
"""The name of an error about several fields together, which a schema cannot express."""
_gateways: set[str] = set()


class ApiMismatchError(AssertionError):
    """The gateway did something that its document does not describe."""


def check_gateway(url: str) -> None:
    """Check all exchanges with the gateway at this address from now on."""
    _gateways.add(httpx.URL(url).netloc.decode())


def is_no_gateway(url: str) -> None:
    """Check no exchanges with this address: another server has the port of a gateway that has ended."""
    _gateways.discard(httpx.URL(url).netloc.decode())


class Exchange:
    """One request and its response, which is checked while it arrives."""

    def __init__(self, api: ApiDocument, request: httpx.Request, response: httpx.Response) -> None:
        self._api = api
        self._request = request
        self._status = response.status_code
        self._headers = response.headers
        path = unquote(request.url.raw_path.partition(b"?")[0].decode()).removeprefix(BASE_PATH)
        self._operation: Operation | None = api.find(request.method, path)
        self._described = api.response(self._operation, self._status)
        self._is_stream = response.headers.get("Content-Type", "").startswith(EVENT_STREAM)
        self._body = b""

    def begin(self) -> None:
        """Check the status, the headers and the request."""
        if self._operation is None and self._status in {204, 304} and self._request.method == "OPTIONS":
            self._described = {}
        elif self._operation is None and self._status < 400:
            self._fail(["the document has no such call"])
        if self._described is None:
            self._fail(["the document has no such status"])
        else:
            has_body = self._request.method != "HEAD"
            self._fail(self._api.header_faults(self._described, self._headers) if has_body else ())
        if self._status < 400:
            self._fail(f"was accepted although {fault}" for fault in self._request_faults())

    def take(self, chunk: bytes) -> None:
        """Check the events of a stream as they arrive; keep other bodies."""
        self._body += chunk
        while self._is_stream and b"\n\n" in self._body:
            block, _, self._body = self._body.partition(b"\n\n")
            if (event := parse_event(block)) is not None:
                self._fail(self._body_faults(event))

    def end(self) -> None:
        """Check the whole body."""
        if self._is_stream or self._request.method == "HEAD":
            return
        body = gzip.decompress(self._body) if self._headers.get("Content-Encoding") == "gzip" else self._body
        if not (self._described or {}).get("content"):
            self._fail(["has a body, which the document does not describe"] if body else [])
            return
        media_type = self._headers.get("Content-Type", "").partition(";")[0]
        known = (self._described or {})["content"]
        if is_file(known.get(media_type, {"schema": {}})):
            return
        if self._status < 400 and not media_type.endswith("json"):
            self._fail([f"is {media_type}, which the document does not name"])
        value = json.loads(body)
        self._fail(self._body_faults(value))
        if self._status >= 400 and self._operation is not None:
            description = (self._described or {})["description"]
            self._fail(
                [] if f"`{value['code']}`" in description else [f"the document has no code {value['code']}"]
            )
        if self._status >= 400 and self._operation is not None and value["code"] in MALFORMED:
            ruled = any(fault["name"] == _RULE for fault in value.get("errors", []))
            if not ruled and not list(self._request_faults()):
                self._fail(
                    [f"was refused as {value['code']} although it fits the document: {value['detail']}"]
                )

    def _body_faults(self, value: object) -> Iterator[str]:
        assert self._described is not None
        schema = self._api.body_schema(self._described, self._headers.get("Content-Type", ""))
        return self._api.faults(schema, value, "body") if schema else iter(())

    def _request_faults(self) -> Iterator[str]:
        if self._operation is None:
            return iter(())
        try:
            body = self._request.content
        except httpx.RequestNotRead:
            body = b""
        query = list(self._request.url.params.multi_items())
        return self._api.request_faults(self._operation, query, self._request.headers, body)

    def _fail(self, faults: Any) -> None:
        if found := list(faults):
            call = f"{self._request.method} {self._request.url} -> {self._status}"
            raise ApiMismatchError(f"{call}: {'; '.join(found[:5])}")


def is_file(content: dict[str, Any]) -> bool:
    """Return whether a body is a file, or a part of one: bytes, or JSON of any form."""
    return "schema" not in content or content["schema"].get("format") == "binary"


def parse_event(block: bytes) -> dict[str, Any] | None:
    """Return the event of a block as a client sees it; None if it is only a comment."""
    lines = [line.partition(": ") for line in block.decode().splitlines()]
    event: dict[str, Any] = {name: value for name, _, value in lines if name}
    if "data" not in event:
        return None
    return {"event": "message"} | event | {"data": json.loads(event["data"])}


class _CheckedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange, stream: Any) -> None:
        self._exchange, self._stream = exchange, stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._exchange.take(chunk)
            yield chunk
        self._exchange.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._exchange.take(chunk)
            yield chunk
        self._exchange.end()

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _checked(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    if request.url.netloc.decode() in _gateways and request.url.path.startswith(f"{BASE_PATH}/"):
        exchange = Exchange(committed(), request, response)
        exchange.begin()
        response.stream = _CheckedStream(exchange, response.stream)
    return response


@pytest.fixture(scope="session", autouse=True)
def checked_exchanges() -> Iterator[None]:
    """Wrap the transports of httpx."""
    plain, plain_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return _checked(request, plain(self, request))

    async def handle_async(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return _checked(request, await plain_async(self, request))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", handle)
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Share a TLS context among the clients of a run: each would read all authorities, and that takes 30 ms."""
    make = httpx.create_ssl_context
    shared = make()

    def create(verify: Any = True, **options: Any) -> Any:
        return shared if verify is True and options.get("cert") is None else make(verify, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", create)
        yield
