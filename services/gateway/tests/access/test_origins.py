"""Host and Origin checks of a real gateway, with requests as browsers and attackers send them."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_CONTROL
from services.gateway.tests import samples
from services.gateway.tests.conftest import ORIGIN, Owners
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

API = "/api/v1"
ROLLBACK = f"{API}/deployments/{samples.DEPLOYMENT}/rollback"


def port_of(url: str) -> int:
    return httpx.URL(url).port or 80


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "http://x:99999999"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_page_of_another_origin_cannot_roll_back(
    http: httpx.AsyncClient, owners: Owners, headers: dict[str, str], status: int
) -> None:
    """A POST without a body needs no preflight, so the origin of the page decides. Other clients send no origin."""
    owners.respond_with(DEPLOYMENT_CONTROL.subject, samples.deployment())
    sent = {name: value.format(host=http.base_url.netloc.decode()) for name, value in headers.items()}
    response = await http.post(ROLLBACK, headers=sent)
    assert response.status_code == status
    assert len(owners.received) == (status == 200)
    if status == 403:
        assert response.json()["code"] == "origin_not_allowed"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_of_another_origin_is_rejected(
    http: httpx.AsyncClient, owners: Owners, method: str, media: str
) -> None:
    """This holds for every unsafe method and path; without an origin the media type still rejects it."""
    body = json.dumps({"reason": "evil", "requested_by": "evil"}).encode()
    foreign = {"Origin": "http://evil.example", "Content-Type": media}
    for path in (ROLLBACK, f"{API}/deployments", f"{API}/tracks/upload", "/nothing", "/livez"):
        assert (await http.request(method, path, content=body, headers=foreign)).status_code == 403
    assert (await http.post(ROLLBACK, content=body, headers={"Content-Type": media})).status_code == 415
    assert owners.received == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("127.0.0.1", 200),
        ("LOCALHOST.:{port}", 200),
        ("[::1]:{port}", 200),
        ("show.example:8443", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:{port}", 421),
        ("192.0.2.7", 421),
        ("[2001:db8::1]", 421),
        ("", 421),
    ],
)
async def test_a_rebound_name_is_rejected(guarded: RunningService, host: str, status: int) -> None:
    """Only loopback, the listed names and the address of the connection are accepted, on any port."""
    sent = {"Host": host.format(port=port_of(guarded.url))}
    async with httpx.AsyncClient(base_url=guarded.url, timeout=PATIENCE_S) as http:
        for path in (f"{API}/openapi.json", "/docs", "/metrics"):
            response = await http.get(path, headers=sent)
            assert response.status_code == status, path
        if status == 421:
            assert response.json()["code"] == "host_not_allowed"
        # A load balancer's probe names what it likes.
        assert (await http.get("/readyz", headers=sent)).status_code == 200
        assert (await http.get("/livez", headers=sent)).status_code == 200


def test_an_address_in_the_request_line_is_checked_too(guarded: RunningService) -> None:
    """It has precedence over the header, so a good header does not help."""
    with socket.create_connection(("127.0.0.1", port_of(guarded.url)), timeout=PATIENCE_S) as client:
        client.sendall(
            b"GET http://evil.example/api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(12) == b"HTTP/1.1 421"


@pytest.fixture(scope="module")
def guarded(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Run a gateway that has one more name."""
    own = {
        "K1_GATEWAY_ALLOWED_HOSTS": "show.example, lights.local",
        "K1_GATEWAY_INGEST_URL": "http://127.0.0.1:9",
    }
    with running_service(
        "gateway", provisioned.environment | own, tmp_path_factory.mktemp("guarded")
    ) as running:
        yield running
