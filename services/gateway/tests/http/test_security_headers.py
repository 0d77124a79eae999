"""Every kind of answer has the security headers, and no body beyond 1 MiB is taken outside uploads."""

import re
import socket
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from k1_gateway.handlers import ENDPOINTS
from k1_gateway.http.endpoint import BASE_PATH, Endpoint
from services.gateway.tests.conftest import ORIGIN
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

FIXED: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "server": "K1",  # and not the versions of Python and aiohttp
}
TOO_LARGE: Final = 1024 * 1024 + 1
BODIES: Final = [
    endpoint for endpoint in ENDPOINTS if (endpoint.body_fields or endpoint.document) and not endpoint.form
]
UPLOAD: Final = "/tracks/upload"
ANSWERS: Final = (
    ("GET", f"{BASE_PATH}/openapi.json", {}, 200),
    ("GET", "/docs", {}, 200),
    ("GET", "/sign-in", {}, 200),
    ("GET", "/graphql", {}, 200),
    ("GET", "/livez", {}, 200),
    ("GET", "/", {}, 200),
    ("GET", f"{BASE_PATH}/nothing", {}, 404),
    ("DELETE", f"{BASE_PATH}/tracks", {}, 405),
    ("GET", f"{BASE_PATH}/tracks?limit=x", {}, 422),
    ("GET", f"{BASE_PATH}/tracks", {"Host": "evil.example"}, 421),
    ("POST", f"{BASE_PATH}/graphql", {"Content-Type": "text/plain"}, 422),
    ("POST", f"{BASE_PATH}/graphql", {"Origin": "https://evil.example"}, 403),
    ("POST", f"{BASE_PATH}/graphql", {"Content-Type": "application/json", "Content-Encoding": "br"}, 400),
    ("GET", f"{BASE_PATH}/ws", {}, 426),
    ("OPTIONS", f"{BASE_PATH}/tracks", {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}, 204),
)


def assert_secured(headers: httpx.Headers) -> None:
    """Assert the headers of every answer; only a page may run a script or use a style, and only its own."""
    assert {name: headers.get(name) for name in FIXED} == FIXED
    assert headers["cross-origin-resource-policy"] in {"same-site", "cross-origin"}
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe-eval|\*|data:text", policy), policy
    assert not re.search(r"script-src[^;]*(unsafe|:)", policy), policy
    if not headers.get("content-type", "").startswith("text/html"):
        assert "script-src" not in policy


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_every_kind_of_answer_has_them(
    http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Results, pages, redirects, refusals before and after routing, preflights."""
    response = await http.request(method, path, headers=headers)
    assert response.status_code == status, response.text
    assert_secured(response.headers)


async def test_a_stream_and_a_refused_caller_have_them(
    http: httpx.AsyncClient, secured: RunningService
) -> None:
    """The head of a stream is sent before the middlewares see it."""
    async with http.stream("GET", f"{BASE_PATH}/events/stream") as stream:
        assert stream.status_code == 200
        assert_secured(stream.headers)
    async with httpx.AsyncClient(base_url=secured.url, timeout=PATIENCE_S) as guest:
        refused = await guest.get(f"{BASE_PATH}/tracks")
    assert refused.status_code == 401
    assert_secured(refused.headers)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_cannot_be_parsed_gets_them_too(gateway: RunningService, sent: bytes) -> None:
    """No handler and no middleware sees such a request."""
    address = httpx.URL(gateway.url)
    received = b""
    with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE_S) as client:
        client.sendall(sent)
        while chunk := client.recv(65536):
            received += chunk
    head, _, _ = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status.split()[1] == "400"
    assert_secured(
        httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
    )


@pytest.fixture(scope="module")
def over_https(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Run a gateway behind a proxy that ends TLS."""
    own = {"K1_GATEWAY_PUBLIC_URL": "https://show.example", "K1_GATEWAY_INGEST_URL": "http://127.0.0.1:9"}
    folder = tmp_path_factory.mktemp("https")
    with running_service("gateway", provisioned.environment | own, folder) as running:
        yield running


async def test_browsers_are_kept_on_https(over_https: RunningService, http: httpx.AsyncClient) -> None:
    """Where the gateway is reached over TLS; elsewhere the header would have no effect."""
    async with httpx.AsyncClient(base_url=over_https.url, timeout=PATIENCE_S) as client:
        for path in ("/docs", f"{BASE_PATH}/nothing"):
            policy = (await client.get(path)).headers["Strict-Transport-Security"]
            assert int(policy.removeprefix("max-age=")) >= 15_724_800
    assert "Strict-Transport-Security" not in (await http.get("/docs")).headers


@pytest.mark.parametrize("endpoint", BODIES, ids=lambda each: each.operation_id)
async def test_a_body_has_at_most_one_mebibyte(http: httpx.AsyncClient, endpoint: Endpoint) -> None:
    """Every endpoint with a JSON body refuses a larger one, whatever else is wrong with the request."""
    path = BASE_PATH + re.sub(r"\{\w+\}", _example, endpoint.path)
    response = await http.request(
        endpoint.method, path, content=b" " * TOO_LARGE, headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large"), response.text


def test_only_the_upload_takes_a_form() -> None:
    """Every other body is JSON, so the limit of one MiB holds for it."""
    assert [endpoint.path for endpoint in ENDPOINTS if endpoint.form] == [UPLOAD]


def _example(found: re.Match[str]) -> str:
    return EXAMPLES.get(found[0], "1")


EXAMPLES: Final = {
    "{track_id}": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "{job_id}": "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "{deployment_id}": "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
}
