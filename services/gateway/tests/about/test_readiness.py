"""`/readyz` of the gateway: a report about every service behind it, and ready as long as NATS answers."""

import asyncio
from pathlib import Path

import httpx
from nats.aio.client import Client

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.analysis import JOB_LIST, JobPage, ListJobs
from k1_contracts.messages.catalogue.graphs import PRESET_LIST, PresetList
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_LIST, DeploymentPage, ListDeployments
from k1_contracts.messages.webhooks import WEBHOOK_LIST, WebhookPage
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S

PROBE_TIMEOUT_S = 3.0
"""The command line waits so long for an answer of `/readyz`."""


SERVICES = {"accounts", "analysis", "catalogue", "deploy", "ingest", "webhooks"}


def respond_to_all(owners: Owners) -> None:
    presets = (samples.GOLDEN / "PresetList" / "v1.json").read_text()
    owners.respond_with(JOB_LIST.subject, JobPage(total=0, items=[]))
    owners.respond_with(DEPLOYMENT_LIST.subject, DeploymentPage(total=0, items=[]))
    owners.respond_with(WEBHOOK_LIST.subject, WebhookPage(total=0, items=[]))
    owners.respond_with(PRESET_LIST.subject, PresetList.model_validate_json(presets))


async def test_readiness_asks_every_service_behind_the_gateway(
    http: httpx.AsyncClient, owners: Owners
) -> None:
    """Each with a light query of its own, ingest by HTTP."""
    respond_to_all(owners)
    report: dict[str, object] = {}
    async with asyncio.timeout(PATIENCE_S):
        while report != dict.fromkeys(SERVICES, "ok"):
            response = await http.get("/readyz")
            assert (response.status_code, response.json()["checks"]) == (200, {"nats": "ok"})
            report = response.json()["dependencies"]
    assert ListJobs(limit=1) in owners.received
    assert ListDeployments(limit=1) in owners.received


async def test_an_absent_service_leaves_the_gateway_ready(http: httpx.AsyncClient) -> None:
    """The report names the absent services. The gateway stays in rotation and returns 503 only for them."""
    response = await http.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    for name in SERVICES - {"ingest"}:
        assert response.json()["dependencies"][name].startswith(f"The {name} service is not running")


async def test_an_error_of_a_service_is_reported(http: httpx.AsyncClient, owners: Owners) -> None:
    """A service that runs without its database responds with an error, which the report repeats."""
    respond_to_all(owners)
    away = QueryError("dependency_unavailable", "The database does not answer; try again.", 503)
    owners.respond_with(JOB_LIST.subject, away)
    response = await http.get("/readyz")
    assert response.status_code == 200
    assert response.json()["dependencies"]["catalogue"] == "The database does not answer; try again."
    assert response.json()["dependencies"]["deploy"] == "ok"


async def test_a_silent_service_does_not_delay_the_answer(
    http: httpx.AsyncClient, nats_client: Client
) -> None:
    """A probe gets its response before it gives up, though a service takes queries and never responds."""
    for subject in (JOB_LIST.subject, DEPLOYMENT_LIST.subject):
        await nats_client.subscribe(subject, queue=subject.split(".")[1])
    await nats_client.flush()
    response = await http.get("/readyz", timeout=PROBE_TIMEOUT_S)
    assert response.status_code == 200
    for name in ("catalogue", "deploy"):
        assert "did not answer" in response.json()["dependencies"][name]


async def test_without_the_broker_the_gateway_is_not_ready(
    provisioned: Infrastructure, own_nats: NatsServer, tmp_path: Path
) -> None:
    """503 in time for a probe, with the report beside it: without NATS this gateway can serve nothing."""
    settings = own_nats.settings
    environment = provisioned.environment | {
        "K1_NATS_URL": settings.url,
        "K1_NATS_CREDS": str(settings.creds),
    }
    with running_service("gateway", environment, tmp_path) as running:
        own_nats.kill()
        async with httpx.AsyncClient(base_url=running.url, timeout=PROBE_TIMEOUT_S) as http:
            response = await http.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "not ready")
    assert response.json()["checks"]["nats"] != "ok"
    assert set(response.json()["dependencies"]) == SERVICES
