"""Requests of deployments: checked, planned by deploy, and published as commands."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.base import rfc3339
from k1_contracts.ids import derived_id
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_GET,
    DEPLOYMENT_PLAN,
    Check,
    DeploymentPlan,
    DevicePlan,
    GetDeployment,
    PlanDeployment,
)
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, DEPLOYMENT_MAX_DEVICES, DeploymentOrder
from k1_gateway.deployments.request import DeploymentBody
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import ORDER, UNKNOWN, URL, RequestedDeployments
from services.gateway.tests.schemas import assert_matches
from tests.support.waiting import PATIENCE_S


async def test_a_deployment_request_is_checked_and_published(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """Deploy's plan is read first; then the stream has the command with everything that the client sent."""
    asked = {
        **ORDER,
        "strategy": {"canary": 1, "batch_size": 10, "max_failures": "10%", "observe_seconds": 15},
        "activation": {"when": "time", "at": "2026-05-01T20:00:00+02:00"},
        "overrides": [{"gate": "firmware", "device_id": "k1-a", "reason": "tested by hand today"}],
        "requested_by": "ada",
    }
    response = await http.post(URL, json=asked)
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert_matches(response.json(), "DeploymentAccepted")
    envelope, command = await requested.next()
    assert command.deployment_id == response.json()["deployment_id"] == envelope.subject
    assert envelope.id == derived_id("evt", DEPLOY_REQUESTED.subject, command.deployment_id)
    order = DeploymentOrder.model_validate(asked)
    assert deploy.received[0] == PlanDeployment.model_validate(asked)
    assert DeploymentOrder.model_validate(command.model_dump()) == order
    assert deploy.received[1] == GetDeployment(deployment_id=command.deployment_id)


async def test_a_repeated_device_counts_once(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """The devices keep the order of their first occurrence."""
    assert (await http.post(URL, json={**ORDER, "device_ids": ["b", "a", "b"]})).status_code == 202
    _, command = await requested.next()
    assert command.device_ids == ["b", "a"]


async def test_a_returned_id_can_be_read(
    http: httpx.AsyncClient, owners: Owners, requested: RequestedDeployments
) -> None:
    """The response waits until deploy has created the deployment."""
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan())
    owners.respond_with(DEPLOYMENT_GET.subject, UNKNOWN)
    answering = asyncio.create_task(http.post(URL, json=ORDER))
    await requested.next()
    seen = len(owners.received)
    async with asyncio.timeout(PATIENCE_S):
        while len(owners.received) < seen + 3:
            await asyncio.sleep(0.01)
    assert not answering.done()
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    assert (await answering).status_code == 202


async def test_a_dry_run_changes_nothing(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """It returns 200 with the plan, also when nothing would start, and publishes nothing."""
    for would_start in (True, False):
        plan = samples.plan(would_start=would_start)
        deploy.respond_with(DEPLOYMENT_PLAN.subject, plan)
        response = await http.post(URL, json={**ORDER, "dry_run": True})
        assert response.status_code == 200
        assert DeploymentPlan.model_validate_json(response.content) == plan
        assert_matches(response.json(), "DeploymentPlan")
    assert [query.with_impacts for query in deploy.received] == [True, True]
    assert await requested.count() == 0


async def test_every_failed_gate_is_named(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """The response is 409; passed and overridden gates are not among the errors."""
    check = Check
    show = [
        check(gate="photosensitivity", passed=False, reason="Flashes five times a second"),
        check(gate="f_measure", passed=False, overridden=True, reason="F-measure .7"),
    ]
    mine = [check(gate="presence", passed=False, reason="It is offline"), check(gate="nodes", passed=True)]
    device = DevicePlan(device_id="k1-a", checks=mine)
    deploy.respond_with(
        DEPLOYMENT_PLAN.subject, samples.plan(would_start=False, checks=show, devices=[device])
    )
    response = await http.post(URL, json=ORDER)
    assert (response.status_code, response.json()["code"]) == (409, "deployment_blocked")
    assert response.json()["errors"] == [
        {"name": "photosensitivity", "message": "Flashes five times a second"},
        {"name": "k1-a.presence", "message": "It is offline"},
    ]
    assert "k1-a.presence: It is offline" in response.json()["detail"]
    assert await requested.count() == 0


async def test_two_thousand_devices_are_accepted(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """Their ids have the maximum length."""
    ids = [f"k1-{number:037}" for number in range(DEPLOYMENT_MAX_DEVICES)]
    assert (await http.post(URL, json={**ORDER, "device_ids": ids})).status_code == 202
    assert (await requested.next())[1].device_ids == ids


_bodies = st.fixed_dictionaries(
    {"track_id": st.just(samples.TRACK), "version": st.integers(1, 10**6)},
    optional={
        "group": st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
        "device_ids": st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True), min_size=1, max_size=5),
        "requested_by": st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1).filter(
            lambda name: 0 < len(name.strip()) <= 100
        ),
        "dry_run": st.booleans(),
        "activation": st.one_of(
            st.just({"when": "now"}),
            st.datetimes(timezones=st.just(samples.NOW.tzinfo)).map(
                lambda at: {"when": "time", "at": rfc3339(at)}
            ),
        ),
    },
)


@given(_bodies)
def test_a_request_keeps_the_content_of_the_body(body: dict[str, Any]) -> None:
    """An accepted body names devices in one way, and its content is passed on unchanged."""
    if ("group" in body) == ("device_ids" in body):
        with pytest.raises(ValueError, match="either device_ids or group"):
            DeploymentBody.model_validate_json(json.dumps(body), strict=True, extra="forbid")
        return
    order = DeploymentBody.model_validate_json(json.dumps(body), strict=True, extra="forbid").order()
    said = {**body, "device_ids": list(dict.fromkeys(body.get("device_ids", []))) or None}
    assert order == DeploymentOrder.model_validate(said)
    assert DeploymentOrder.model_validate_json(order.to_json()) == order
