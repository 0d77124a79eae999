"""A stub of the gateway on a real socket, with a few fixed responses."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.documents.checked_http import is_no_gateway
from tests.support.servers.threaded import serving

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
StubResponse = tuple[int, Any]
"""Status and JSON body."""


@dataclass(frozen=True)
class ReceivedRequest:
    """One request; `form` holds the fields of an upload, and the name and bytes of its file."""

    path: str
    query: dict[str, list[str]]
    body: bytes
    content_type: str
    authorization: str | None = None

    @property
    def form(self) -> dict[str, tuple[str | None, bytes]]:
        boundary = b"--" + self.content_type.partition("boundary=")[2].encode()
        found: dict[str, tuple[str | None, bytes]] = {}
        for part in self.body.split(boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            names = dict(_PARAMETER.findall(head.decode()))
            found[names["name"]] = names.get("filename"), content.removesuffix(b"\r\n")
        return found


@dataclass
class StubGateway:
    """What it responses to a method and path below `/api/v1`; everything else is a 404."""

    url: str = ""
    responses: dict[str, Callable[[ReceivedRequest], StubResponse]] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)

    def on(self, call: str, response: StubResponse | Callable[[ReceivedRequest], StubResponse]) -> None:
        """Set a response: `on("GET /tracks", (200, {...}))`."""
        self.responses[call] = response if callable(response) else lambda _: response

    def on_stream(self, call: str, raw: bytes) -> None:
        """Set the raw bytes of a response."""
        self.responses[call] = lambda _: (200, raw)


@contextmanager
def stub_gateway() -> Iterator[StubGateway]:
    """Run a stub on a free port while the block runs."""
    stub = StubGateway()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            split = urlsplit(self.path)
            path = split.path.removeprefix("/api/v1")
            body = (
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.command in {"POST", "PATCH"}
                else b""
            )
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            request = ReceivedRequest(
                path,
                parse_qs(split.query),
                body,
                self.headers.get("Content-Type", ""),
                self.headers.get("Authorization"),
            )
            stub.requests.append(request)
            found = stub.responses.get(f"{self.command} {path}")
            nothing = {"code": "not_found", "detail": "There is nothing."}
            status, document = found(request) if found else (404, nothing)
            sent = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    is_no_gateway(stub.url)
    with serving(server):
        yield stub
        server.server_close()
