"""The server of every service, with short limits, spoken to through plain sockets."""

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext

import pytest
from aiohttp import web

from k1_platform.auth.certificates import ensure_certificates
from k1_platform.auth.tls import client_context, server_context
from k1_platform.http.body import iter_body, read_body
from k1_platform.http.server import LimitedRunner, ServerLimits

DONE = web.AppKey("done", asyncio.Event)
PATIENCE_S = 60.0
"""Only ends a hung test: less than the limit of a server that never ends what is half sent."""
SHORT = ServerLimits(receive_s=0.3, idle_s=600.0, send_s=0.3)
STEADY = ServerLimits(receive_s=0.3, idle_s=600.0, send_s=1.0)
PATIENT = ServerLimits(receive_s=600.0, idle_s=0.3, send_s=600.0)
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await read_body(request))


async def count(request: web.Request) -> web.Response:
    sizes = [len(chunk) async for chunk in iter_body(request)]
    return web.Response(text=str(sum(sizes)))


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(3 * SHORT.receive_s)
    await response.write_eof(b"done")
    return response


LARGE = 30_000_000
"""More than the buffers of two sockets hold."""


async def large(request: web.Request) -> web.StreamResponse:
    request.app[DONE].clear()
    try:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(bytes(LARGE))
        await response.write_eof()
    finally:
        request.app[DONE].set()
    return response


async def bug(_: web.Request) -> web.Response:
    raise ValueError("secret")


class Server:
    """Opens connections to a running server."""

    def __init__(self, port: int, done: asyncio.Event) -> None:
        self.port = port
        self.done = done

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send, and read until the server closes."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            async with asyncio.timeout(PATIENCE_S):
                return parsed(await reader.read())
        finally:
            writer.close()


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    return int(start.split()[1]), dict(line.split(": ", 1) for line in lines), body


async def serve(limits: ServerLimits, tls: SSLContext | None = None) -> AsyncIterator[Server]:
    app = web.Application(client_max_size=1000)
    app[DONE] = asyncio.Event()
    app.add_routes([web.post("/echo", echo), web.post("/count", count), web.get("/large", large)])
    app.add_routes([web.get("/bug", bug), web.get("/stream", stream)])
    runner = LimitedRunner(app, limits, access_log=None, handle_signals=False)
    await runner.setup()
    addresses = await runner.listen("127.0.0.1", 0, tls)
    yield Server(addresses[0][1], app[DONE])
    await runner.cleanup()


@pytest.fixture
async def impatient() -> AsyncIterator[Server]:
    async for server in serve(SHORT):
        yield server


@pytest.fixture
async def steady() -> AsyncIterator[Server]:
    async for server in serve(STEADY):
        yield server


@pytest.fixture
async def patient() -> AsyncIterator[Server]:
    async for server in serve(PATIENT):
        yield server


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        HEAD + b"X: y",
        HEAD + b"Content-Length: 9\r\n\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
async def test_what_is_half_sent_ends(impatient: Server, sent: bytes) -> None:
    """A head or a body that does not come gets 408 as a problem, and the connection closes."""
    status, headers, body = await impatient.say(sent)
    assert status == 408
    if headers["Content-Type"] == "application/problem+json":
        assert json.loads(body)["code"] == "request_timeout"


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_half_sent_handshake_ends(tmp_path: Path, sent: bytes) -> None:
    """Before TLS stands there is no answer, only the end; with it all is as without."""
    files = ensure_certificates(tmp_path, ["127.0.0.1"])
    async for server in serve(SHORT, server_context(files.certificate, files.key)):
        reader, writer = await server.connect()
        writer.write(sent)
        async with asyncio.timeout(PATIENCE_S / 2):  # asyncio's own limit is a minute
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client_context(files.ca))
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        async with asyncio.timeout(PATIENCE_S):
            assert parsed(await reader.readuntil(b"\r\n\r\n"))[0] == 408
        writer.close()


async def test_bytes_that_trickle_in_do_not_help(impatient: Server) -> None:
    """A head, or a small body, has one time for all of it, however many pieces it comes in."""
    for start in (b"GET / HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 900\r\n\r\n"):
        reader, writer = await impatient.connect()

        async def trickle(writer: asyncio.StreamWriter = writer) -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(SHORT.receive_s / 10)

        writer.write(start)
        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(PATIENCE_S):
            assert parsed(await reader.readuntil(b"\r\n\r\n"))[0] == 408
        trickling.cancel()
        writer.close()


async def test_a_large_body_may_take_long_in_all(impatient: Server) -> None:
    """Only its pauses are limited: progress keeps it alive."""
    reader, writer = await impatient.connect()
    writer.write(b"POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40\r\n\r\n")
    for _ in range(40):
        writer.write(b"a")
        await asyncio.sleep(SHORT.receive_s / 20)
    async with asyncio.timeout(PATIENCE_S):
        status, _, body = parsed(await reader.read())
    assert (status, body) == (200, b"40")
    writer.close()


async def test_a_long_answer_and_an_idle_connection_are_left_alone(impatient: Server) -> None:
    """The deadline is of requests that arrive, not of answers, nor of the time between two."""
    reader, writer = await impatient.connect()
    for _ in range(2):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(2 * SHORT.receive_s)
    writer.close()


async def test_who_takes_nothing_is_cut_off(impatient: Server) -> None:
    """The handler of a large answer ends with its client, and holds nothing for one that reads no more."""
    reader, writer = await impatient.connect()
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await impatient.done.wait()
        taken = 0
        with suppress(ConnectionError):
            while chunk := await reader.read(1_000_000):
                taken += len(chunk)
    assert taken < LARGE
    writer.close()


async def test_who_takes_slowly_gets_all(steady: Server) -> None:
    """Progress is enough, however long the whole takes."""
    began = time.monotonic()
    reader, writer = await steady.connect()
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    taken = 0
    async with asyncio.timeout(PATIENCE_S):
        while chunk := await reader.read(3_000_000):
            taken += len(chunk)
            await asyncio.sleep(STEADY.send_s / 100)
    assert taken > LARGE
    assert time.monotonic() - began > STEADY.send_s
    writer.close()


async def test_an_idle_connection_is_closed_in_the_end(patient: Server) -> None:
    """Before the first request, too; without a word, as nothing was asked."""
    reader, writer = await patient.connect()
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "bad_request"),
        (b"BREW / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 900_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (HEAD + b"Content-Length: one\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "bad_request"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nab", 400, "bad_request"),
        (HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
        (
            HEAD + b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
            400,
            "bad_request",
        ),
        (HEAD + b"Connection: close\r\nContent-Length: 2000\r\n\r\n" + b"a" * 2000, 413, "body_too_large"),
        (HEAD + b"Connection: close\r\nExpect: tea\r\n\r\n", 417, "expectation_failed"),
        (b"GET / HTTP/1.1\r\nHost: a b[::\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x:99999\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: \xff\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "not_found"),
        (b"PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method_not_allowed"),
        (b"GET /bug HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 500, "internal_error"),
    ],
)
async def test_every_error_is_a_problem(patient: Server, sent: bytes, status: int, code: str) -> None:
    """Also where no handler was found: RFC 9457, a stable code, a sentence, a trace id."""
    found, headers, body = await patient.say(sent)
    problem = json.loads(body)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["detail"].endswith(".")
    assert headers["X-Trace-Id"] == problem["trace_id"]
    assert "secret" not in body.decode()
    assert status != 405 or headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/echo", "/count"])
@pytest.mark.parametrize("encoding", ["foo", "br", "gzip, gzip", "x-gzip", ""])
async def test_an_unknown_encoding_of_a_body_is_refused(patient: Server, path: str, encoding: str) -> None:
    """The encoded bytes are not taken for the content; the header Accept-Encoding says what is decoded."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n"
    status, _, body = await patient.say(f"{head}Connection: close\r\n\r\n{{}}".encode())
    # The parser itself refuses codings that it knows and cannot decode here.
    assert status in ({400, 415} if encoding == "br" else {415}), body
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize("encoding", ["identity", "gzip", "GZIP", "deflate"])
async def test_a_known_encoding_of_a_body_is_decoded(patient: Server, encoding: str) -> None:
    """Names of codings have no case."""
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding.lower(), bytes)
    content = pack(b"content")
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n"
    status, _, body = await patient.say(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    assert (status, body) == (200, b"content")


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site", "Idempotency-Key", "Last-Event-ID", "Host"])
async def test_a_header_of_one_value_stands_once(patient: Server, name: str) -> None:
    """Of two values a check might read the harmless one."""
    twice = f"{name}: a\r\n{name.lower()}: b\r\n"
    status, _, body = await patient.say(
        HEAD + f"{twice}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )
    assert status == 400, body
