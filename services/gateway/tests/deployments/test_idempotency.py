"""Requests with the same idempotency key are one deployment."""

import asyncio

import httpx
from nats.js import JetStreamContext

from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DEPLOYMENT_PLAN
from k1_contracts.messages.deploy.deployments import DeploymentOrder
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import ORDER, UNKNOWN, URL, RequestedDeployments


async def test_the_same_key_is_the_same_deployment(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments, unique: str
) -> None:
    """This holds also while the devices are busy; for another request the key is rejected."""
    headers = {b"Idempotency-Key": f"söme key {unique}".encode()}
    first = await http.post(URL, json=ORDER, headers=headers)
    assert first.status_code == 202
    deploy.respond_with(DEPLOYMENT_PLAN.subject, samples.plan(would_start=False))
    again = await http.post(URL, json=dict(reversed(ORDER.items())), headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    other = await http.post(URL, json={**ORDER, "version": 4}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await requested.next()
    assert await requested.count() == 0


async def test_concurrent_requests_with_one_key_are_one_deployment(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments, unique: str
) -> None:
    """The first request decides the id, and the stream keeps one command."""
    headers = {"Idempotency-Key": unique}
    responses = await asyncio.gather(*(http.post(URL, json=ORDER, headers=headers) for _ in range(8)))
    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["deployment_id"] for response in responses}) == 1
    await requested.next()
    assert await requested.count() == 0


async def test_a_command_that_was_not_published_is_published_by_the_retry(
    http: httpx.AsyncClient,
    owners: Owners,
    requested: RequestedDeployments,
    jetstream: JetStreamContext,
    unique: str,
) -> None:
    """A gateway crashed after it reserved the key; the retry publishes the command under the same id."""
    from k1_gateway.deployments import idempotency
    from k1_gateway.deployments.request import order_digest

    reserved = idempotency.Reservation(
        deployment_id=samples.DEPLOYMENT, order_sha256=order_digest(DeploymentOrder(**ORDER))
    )
    await idempotency.reserve(jetstream, unique, reserved)
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan())
    owners.respond_with(DEPLOYMENT_GET.subject, UNKNOWN)
    answering = asyncio.create_task(http.post(URL, json=ORDER, headers={"Idempotency-Key": unique}))
    _, command = await requested.next()
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    assert (await answering).json()["deployment_id"] == command.deployment_id == samples.DEPLOYMENT
