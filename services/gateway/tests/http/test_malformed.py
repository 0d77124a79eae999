"""Any bytes get a problem below 500 or a closed connection, and the gateway continues to work."""

import json
import socket
from collections.abc import Iterator
from typing import cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.tests import samples
from services.ingest.tests import songs
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

API = f"/api/v1/tracks/{samples.TRACK}"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FORM = (
    '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n'
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRI\r\n'
    "--b--\r\n"
)


def request(start: str, *headers: str, body: str | None = None) -> bytes:
    """Generate a request as bytes."""
    length = [f"Content-Length: {len(body)}"] if body is not None else []
    lines = [f"{start} HTTP/1.1", "Connection: close", *headers, *length, "", body or ""]
    return "\r\n".join(lines).encode()


JSON = "Content-Type: application/json"
GOOD = (
    request("GET /api/v1/tracks?limit=3&search=x", "Host: localhost", "X-Request-Id: a"),
    request(
        f"GET {API}/versions/1/genesis?layers=rhythm&from_ms=1.5",
        "Host: 127.0.0.1:80",
        'If-None-Match: "a", W/"b"',
        "Accept-Encoding: gzip;q=0.5",
    ),
    request(f"POST {API}/analysis", "Host: [::1]", JSON, "Idempotency-Key: k", body='{"preset": "edm"}'),
    request(
        f"PUT {API}/versions/1/graph", "Host: localhost", JSON, 'If-Match: "a"', "Transfer-Encoding: chunked"
    )
    + b'c\r\n{"nodes": [1\r\n2\r\n]}\r\n0\r\n\r\n',
    request(
        f"GET /api/v1/analysis/jobs/{samples.JOB}/events",
        "Host: localhost",
        "Last-Event-ID: 7",
        f"traceparent: {TRACE}",
    ),
    request(
        "POST /api/v1/tracks/upload",
        "Host: localhost",
        "Content-Type: multipart/form-data; boundary=b",
        body=FORM,
    ),
)
_SNIPPETS = st.sampled_from(
    [
        b"\x00", b"\xff", b"\r\n", b"\n", b"%00", b"%zz", b"%ff", b"\\ud800", b"1e400", b"NaN", b"-1", b"9" * 30,
        b'"', b"'", b";", b"=", b"[", b"]" * 70, b"{", b"..", b"/", b"?", b"#", b"--b", b" ", b"\t", b":",
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n",
        b"Content-Type: multipart/form-data\r\n", b"Expect: x\r\n", b"Upgrade: websocket\r\n", b"a" * 9000,
        "\u202e\u0000é".encode(), b"Host: x:y\r\n", b"Origin: null\r\n",
    ]
) | st.binary(min_size=1, max_size=6)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Generate a good request with pieces inserted, cut out or overwritten, or random bytes."""
    data = draw(st.sampled_from(GOOD) | st.binary(max_size=60))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 4))
        data = data[:at] + draw(_SNIPPETS) + data[at + gone :]
    return data


@pytest.fixture(scope="module")
def impatient(
    ingest: RunningService, provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Run a gateway with a short receive timeout, whose owners are away."""
    own = {
        "K1_GATEWAY_INGEST_URL": ingest.url,
        "K1_GATEWAY_RECEIVE_TIMEOUT_S": "0.2",
        "K1_GATEWAY_IDLE_TIMEOUT_S": "0.5",
        "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "100000",
    }
    folder = tmp_path_factory.mktemp("impatient")
    with running_service("gateway", provisioned.environment | own, folder) as running:
        yield running


def send(url: str, data: bytes) -> bytes:
    """Send the bytes and return what comes until the gateway closes."""
    address = httpx.URL(url)
    response = b""
    with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE_S) as client:
        try:
            client.sendall(data)
            while chunk := client.recv(65536):
                response += chunk
        except ConnectionError:
            pass  # what was answered before that counts
    return response


def statuses(response: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yield status, media type and body of each response; the bytes may have held several requests."""
    while response:
        head, _, rest = response.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", len(rest)))
        yield int(lines[0].split()[1]), headers.get("content-type", ""), rest[:length]
        response = rest[length:]


@settings(max_examples=60, suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)))
@given(requests())
def test_malformed_input_gets_a_problem(impatient: RunningService, data: bytes) -> None:
    """There is no 5xx except for the absent owner, every error is a problem, and no connection stays open."""
    for status, media, body in statuses(send(impatient.url, data)):
        if status >= 400:
            assert media == "application/problem+json", (status, body)
            problem = json.loads(body)
            assert problem["status"] == status
            assert status < 500 or problem["code"] == "service_unavailable", problem


async def test_the_gateway_still_works_after_malformed_input(impatient: RunningService) -> None:
    """The same process accepts a song."""
    async with httpx.AsyncClient(base_url=impatient.url, timeout=PATIENCE_S) as http:
        response = await http.post("/api/v1/tracks/upload", files={"file": ("a.wav", songs.wav(2.0))})
        assert response.status_code in {200, 202}


@pytest.mark.parametrize("good", GOOD)
def test_the_unchanged_requests_are_good(impatient: RunningService, good: bytes) -> None:
    """Each reaches its owner or ingest; else the mutations would never get past the parser."""
    status, _, body = next(statuses(send(impatient.url, good)))
    assert status in {503, 415}, body


@pytest.mark.parametrize("cut", [1, 40, -1])
@pytest.mark.parametrize("good", [GOOD[2], GOOD[3], GOOD[5]])
def test_half_sent_requests_time_out(impatient: RunningService, good: bytes, cut: int) -> None:
    """Head, JSON body, chunked body and upload get 408 as a problem, and the connection closes."""
    end = {1: good.index(b"\r\n\r\n"), 40: 40, -1: len(good) - 2}[cut]
    status, media, _ = next(statuses(send(impatient.url, good[:end])))
    assert (status, media) == (408, "application/problem+json")
