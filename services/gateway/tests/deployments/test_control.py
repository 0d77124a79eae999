"""Controlling a deployment, and following it as server-sent events."""

import asyncio
import json
from typing import Any, Literal

import httpx
import pytest

from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    ControlDeployment,
)
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED, DeploymentChange
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import ONE
from services.gateway.tests.schemas import assert_matches
from tests.support.waiting import PATIENCE_S

Action = Literal["cancel", "rollback", "pause", "resume"]


@pytest.mark.parametrize("action", ["cancel", "rollback", "pause", "resume"])
async def test_a_deployment_is_controlled(http: httpx.AsyncClient, owners: Owners, action: Action) -> None:
    """The path names the action; reason and name are passed on and are optional."""
    owners.respond_with(DEPLOYMENT_CONTROL.subject, samples.deployment())
    fields = {"reason": "the singer is late", "requested_by": "ada"}
    for body in (fields, None):
        response = await http.post(f"{ONE}/{action}", json=body)
        assert response.status_code == 200, response.text
        assert_matches(response.json(), "DeploymentView")
    query = ControlDeployment
    assert owners.received == [
        query(deployment_id=samples.DEPLOYMENT, action=action, **fields),
        query(deployment_id=samples.DEPLOYMENT, action=action),
    ]


@pytest.mark.parametrize(
    "body",
    [{"action": "resume"}, {"deployment_id": "x"}, {"reason": 7}, {"requested_by": ""}, {"reason": "\0"}, []],
)
async def test_a_control_takes_only_name_and_reason(
    http: httpx.AsyncClient, owners: Owners, body: Any
) -> None:
    """The body cannot name the action or another deployment."""
    owners.respond_with(DEPLOYMENT_CONTROL.subject, samples.deployment())
    assert (await http.post(f"{ONE}/cancel", json=body)).status_code == 422
    assert owners.received == []


async def test_changes_flow_until_the_deployment_ends(http: httpx.AsyncClient, owners: Owners) -> None:
    """The stream holds the deployment's view, each change, the view at the end, and then ends."""
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    events: list[tuple[str, dict[str, Any]]] = []
    async with http.stream("GET", f"{ONE}/events") as stream, asyncio.timeout(PATIENCE_S):
        assert stream.headers["content-type"] == "text/event-stream"
        name = ""
        async for line in stream.aiter_lines():
            field, _, value = line.partition(": ")
            name = value if field == "event" else name
            if field == "data":
                events.append((name, json.loads(value)))
                await _next_change(owners, len(events))
    assert [name for name, _ in events] == ["deployment", "change", "change", "deployment"]
    assert [data["status"] for _, data in events] == ["observing", "committing", "succeeded", "succeeded"]


async def _next_change(owners: Owners, seen: int) -> None:
    status: Any = {1: "committing", 2: "succeeded"}.get(seen)
    if status is None:
        return
    change = DeploymentChange(deployment_id=samples.DEPLOYMENT, status=status, at=samples.NOW)
    await owners.bus.client.publish(DEPLOYMENT_CHANGED.subject_for(samples.DEPLOYMENT), change.to_json())
    if status == "succeeded":
        # Not before: the gateway also looks by itself now and then, and could end the stream without this news.
        owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="succeeded"))


async def test_a_lost_end_is_noticed(http: httpx.AsyncClient, owners: Owners) -> None:
    """Changes may be lost: without one, the view is read again, and a comment keeps the connection open."""
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    async with http.stream("GET", f"{ONE}/events") as stream, asyncio.timeout(PATIENCE_S):
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: deployment"
        owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="rolled_back"))
        rest = [line async for line in lines]
    assert ": waiting" in rest
    assert '"status":"rolled_back"' in rest[-2]
