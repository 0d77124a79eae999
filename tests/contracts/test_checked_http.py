"""The check of HTTP exchanges finds each kind of fault."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.support.documents.api_document import BASE_PATH, committed
from tests.support.documents.checked_http import ApiMismatchError, Exchange, check_gateway, is_no_gateway
from tests.support.servers.threaded import serving

JOB = "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
IDS = {"X-Request-Id": "r", "X-Trace-Id": "0" * 31 + "1"}
JSON = IDS | {"Content-Type": "application/json"}
TAGGED = JSON | {"ETag": 'W/"1"'}
PROBLEM = IDS | {"Content-Type": "application/problem+json"}
PAGE = {"total": 0, "items": [], "limit": 50, "offset": 0}
REFUSAL = {
    "type": "urn:k1:problem:invalid_parameter",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "Correct this.",
    "code": "invalid_parameter",
    "trace_id": "0" * 32,
    "errors": [{"name": "limit", "message": "is wrong"}],
}
PROGRESS = {"job_id": JOB, "track_id": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", "stage": "beats", "percent": 3.0}
AT = {"at": "2026-01-31T12:30:15.123Z"}


def exchange(  # noqa: PLR0917
    method: str, path: str, status: int, headers: dict[str, str], body: Any, sent: Any = None
) -> None:
    """Check one exchange from beginning to end."""
    request = httpx.Request(method, f"http://gateway{BASE_PATH}{path}", json=sent)
    made = Exchange(committed(), request, httpx.Response(status, headers=headers))
    made.begin()
    made.take(body if isinstance(body, bytes) else json.dumps(body).encode())
    made.end()


def event(name: str, data: Any) -> bytes:
    return f": connected\n\nevent: {name}\nid: 7\ndata: {json.dumps(data)}\n\n".encode()


STREAM = IDS | {"Content-Type": "text/event-stream"}
GOOD = [
    ("GET", "/tracks?limit=5", 200, TAGGED, PAGE),
    ("HEAD", "/tracks?limit=5", 200, TAGGED, b""),
    ("GET", "/tracks", 304, IDS | {"ETag": 'W/"1"'}, b""),
    ("GET", "/tracks?limit=0", 422, PROBLEM, REFUSAL),
    ("GET", "/nothing", 404, PROBLEM, REFUSAL | {"status": 404, "code": "not_found"}),
    ("OPTIONS", "/tracks", 204, {}, b""),
    ("GET", f"/analysis/jobs/{JOB}/events", 200, STREAM, event("progress", PROGRESS | AT)),
]
BAD = [
    ("no such status", ("GET", "/tracks", 418, TAGGED, PAGE)),
    ("no such call", ("GET", "/nothing", 200, JSON, PAGE)),
    ("content type is 'text/html'", ("GET", "/tracks", 200, TAGGED | {"Content-Type": "text/html"}, PAGE)),
    ("there is no ETag", ("GET", "/tracks", 200, JSON, PAGE)),
    ("ETag", ("GET", "/tracks", 200, JSON | {"ETag": "1"}, PAGE)),
    (
        "there is no X-Trace-Id",
        ("GET", "/nothing", 404, {"Content-Type": "application/problem+json"}, REFUSAL),
    ),
    (
        '"total" is a required property',
        ("GET", "/tracks", 200, TAGGED, {"items": [], "limit": 1, "offset": 0}),
    ),
    ("'colour' was unexpected", ("GET", "/tracks", 200, TAGGED, PAGE | {"colour": 1})),
    ("has a body", ("GET", "/tracks", 304, IDS | {"ETag": 'W/"1"'}, b"x")),
    ("accepted although limit", ("GET", "/tracks?limit=201", 200, TAGGED, PAGE)),
    ("accepted although limit", ("GET", "/tracks?limit=05", 200, TAGGED, PAGE)),
    ("accepted although colour", ("GET", "/tracks?colour=red", 200, TAGGED, PAGE)),
    ("accepted although cursor", ("GET", "/tracks?cursor=a%0A!", 200, TAGGED, PAGE)),
    ("no code track_gone", ("GET", "/tracks?limit=0", 422, PROBLEM, REFUSAL | {"code": "track_gone"})),
    ("although it fits", ("GET", "/tracks?limit=5", 422, PROBLEM, REFUSAL)),
    ("is not valid", ("GET", f"/analysis/jobs/{JOB}/events", 200, STREAM, event("progress", PROGRESS))),
    ("is not valid", ("GET", f"/analysis/jobs/{JOB}/events", 200, STREAM, event("news", PROGRESS | AT))),
]


@pytest.mark.parametrize("good", GOOD, ids=[f"{each[0]} {each[1]} {each[2]}" for each in GOOD])
def test_documented_exchanges_pass(good: tuple[Any, ...]) -> None:
    """Responses, problems, streams, and responses without a body."""
    exchange(*good)


@pytest.mark.parametrize(("fault", "bad"), BAD)
def test_undocumented_exchanges_fail(fault: str, bad: tuple[Any, ...]) -> None:
    """The error names the operation and the fault."""
    with pytest.raises(ApiMismatchError, match=fault):
        exchange(*bad)


def test_a_body_is_checked_both_ways() -> None:
    """A body that breaks its schema must not be accepted; one that fits must not be refused as malformed."""
    path, job = (
        "/tracks/trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD/analysis",
        {"job_id": JOB, "version": 1, "queue_position": 1},
    )
    exchange("POST", path, 202, JSON, job, {"priority": 5})
    with pytest.raises(ApiMismatchError, match="accepted although body"):
        exchange("POST", path, 202, JSON, job, {"priority": "5"})
    with pytest.raises(ApiMismatchError, match="although it fits"):
        exchange("POST", path, 422, PROBLEM, REFUSAL, {"priority": 5})


def test_another_server_with_the_port_of_a_gateway_is_not_checked() -> None:
    """Ports are given again: a gateway that has ended does not make the server after it one."""

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        check_gateway(url)
        with pytest.raises(ApiMismatchError):
            httpx.get(f"{url}{BASE_PATH}/tracks")
        is_no_gateway(url)
        assert httpx.get(f"{url}{BASE_PATH}/tracks").status_code == 200
