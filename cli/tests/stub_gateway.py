"""A gateway of a few fixed answers on a real socket, and the command line run in this process against it."""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from k1_cli.app import main
from k1_cli.stack.embedded.home import Home
from k1_platform.secret_files import write_whole

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
Answer = tuple[int, Any]
"""Status and JSON body."""


@dataclass(frozen=True)
class Asked:
    """One request; of an upload also the form's fields and the name and bytes of the file."""

    path: str
    query: dict[str, list[str]]
    body: bytes
    content_type: str

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
    """What it answers to a method and path below `/api/v1`; everything else is a 404."""

    url: str = ""
    answers: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, call: str, answer: Answer | Callable[[Asked], Answer]) -> None:
        """`on("GET /tracks", (200, {...}))`."""
        self.answers[call] = answer if callable(answer) else lambda _: answer

    def on_stream(self, call: str, raw: bytes) -> None:
        """These bytes as they are."""
        self.answers[call] = lambda _: (200, raw)


@contextmanager
def stub_gateway() -> Iterator[StubGateway]:
    """It listens on a free port while the block runs."""
    stub = StubGateway()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            split = urlsplit(self.path)
            path = split.path.removeprefix("/api/v1")
            body = (
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.command == "POST"
                else b""
            )
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            asked = Asked(path, parse_qs(split.query), body, self.headers.get("Content-Type", ""))
            stub.asked.append(asked)
            found = stub.answers.get(f"{self.command} {path}")
            nothing = {"code": "not_found", "detail": "There is nothing."}
            status, document = found(asked) if found else (404, nothing)
            sent = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def home_of(stub: StubGateway, folder: Path) -> Iterator[Path]:
    """A home whose stack has this gateway and nothing else."""
    home = Home(folder)
    home.create()
    home.lock()
    state = {
        "pid": os.getpid(),
        "url": stub.url,
        "version": "1",
        "servers": [],
        "services": [],
        "simulated": [],
        "environment": {},
    }
    write_whole(home.state_file, json.dumps(state))
    yield home.root
    home.unlock()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run_k1(capfd: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """The command line in this process."""
    before = sys.argv
    sys.argv = ["k1", *arguments]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    out, err = capfd.readouterr()
    return Done(int(ended.value.code or 0), out, err)
