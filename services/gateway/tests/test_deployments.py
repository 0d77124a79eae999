"""Devices, bundles and deployments through the gateway: queries to deploy, commands on the bus."""

import asyncio
import json
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.base import rfc3339
from k1_contracts.envelope import Envelope
from k1_contracts.ids import derived_id
from k1_contracts.messages.deploy.bundles import BUNDLE_GET, BundleView, GetBundle
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
    Check,
    ControlDeployment,
    DeploymentPage,
    DeploymentPlan,
    DeploymentView,
    DevicePlan,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.deploy.deployments import (
    DEPLOY_REQUESTED,
    DEPLOYMENT_CHANGED,
    DEPLOYMENT_MAX_DEVICES,
    DeploymentChange,
    DeploymentOrder,
    RequestDeployment,
)
from k1_contracts.messages.deploy.devices import (
    DEVICE_GET,
    DEVICE_LIST,
    DevicePage,
    DeviceView,
    GetDevice,
    ListDevices,
)
from k1_gateway.deployments.request import DeploymentBody
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.schemas import assert_matches
from tests.support.waiting import PATIENCE_S

API = "/api/v1"
URL = f"{API}/deployments"
ONE = f"{URL}/{samples.DEPLOYMENT}"
ORDER: dict[str, Any] = {"track_id": samples.TRACK, "version": 3, "device_ids": ["k1-a", "k1-b"]}
UNKNOWN = QueryError("deployment_not_found", "There is no such deployment.", 404)

Action = Literal["cancel", "rollback", "pause", "resume"]


class RequestedDeployments:
    """The commands that are stored on `deploy.requested` from now on."""

    def __init__(self, jetstream: JetStreamContext, taken: int) -> None:
        self._jetstream = jetstream
        self._taken = taken
        """The sequence of the last message that does not count any more."""

    async def next(self) -> tuple[Envelope, RequestDeployment]:
        async with asyncio.timeout(PATIENCE_S):
            while (message := await self._find(self._taken)) is None:
                await asyncio.sleep(0.01)
        assert message.seq
        self._taken = message.seq
        body = RequestDeployment.model_validate_json(message.data or b"")
        return Envelope.from_headers(message.headers or {}), body

    async def count(self) -> int:
        """How many wait; one more request would be there by now, as it is confirmed before its response."""
        found, after = 0, self._taken
        while (message := await self._find(after)) is not None:
            assert message.seq
            found, after = found + 1, message.seq
        return found

    async def _find(self, after: int) -> RawStreamMsg | None:
        try:
            return await self._jetstream.get_msg(
                streams.EVENTS, seq=after + 1, subject=DEPLOY_REQUESTED.subject, next=True
            )
        except NotFoundError:
            return None


@pytest.fixture
async def requested(nats_client: Client) -> RequestedDeployments:
    jetstream = nats_client.jetstream(timeout=PATIENCE_S)
    return RequestedDeployments(jetstream, (await jetstream.stream_info(streams.EVENTS)).state.last_seq)


@pytest.fixture
def deploy(owners: Owners) -> Owners:
    """Fake a deploy that accepts every request and creates the deployment at once."""
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan())
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    return owners


@pytest.mark.parametrize(
    ("path", "subject", "model", "query"),
    [
        (
            "/devices?group=stage&include_revoked=true&limit=1000&offset=3&cursor=abc",
            DEVICE_LIST.subject,
            DevicePage,
            ListDevices(group="stage", include_revoked=True, limit=1000, offset=3, cursor="abc"),
        ),
        (
            "/devices/k1-stage-left",
            DEVICE_GET.subject,
            DeviceView,
            GetDevice(device_id="k1-stage-left"),
        ),
        (
            f"/tracks/{samples.TRACK}/versions/3/bundle",
            BUNDLE_GET.subject,
            BundleView,
            GetBundle(track_id=samples.TRACK, version=3),
        ),
        (
            f"/deployments?track_id={samples.TRACK}&device_id=k1-a&status=staging&limit=7&offset=1",
            DEPLOYMENT_LIST.subject,
            DeploymentPage,
            ListDeployments(track_id=samples.TRACK, device_id="k1-a", status="staging", limit=7, offset=1),
        ),
        (
            f"/deployments/{samples.DEPLOYMENT}",
            DEPLOYMENT_GET.subject,
            DeploymentView,
            GetDeployment(deployment_id=samples.DEPLOYMENT),
        ),
    ],
)
async def test_each_read_sends_its_query_to_deploy(
    http: httpx.AsyncClient, owners: Owners, *, path: str, subject: str, model: Any, query: Any
) -> None:
    """Path and parameters become the query; the result comes back unchanged and matches the schema."""
    response = model.model_validate_json((samples.GOLDEN / model.__name__ / "v1.json").read_text())
    owners.respond_with(subject, response)
    got = await http.get(API + path)
    assert (got.status_code, owners.received) == (200, [query])
    assert model.model_validate_json(got.content) == response
    assert_matches(got.json(), model.__name__)


@pytest.mark.parametrize(
    ("path", "subject", "error"),
    [
        ("/devices/k1-z", DEVICE_GET.subject, QueryError("device_not_found", "No such device.", 404)),
        (f"/deployments/{samples.DEPLOYMENT}", DEPLOYMENT_GET.subject, UNKNOWN),
        (f"/deployments/{samples.DEPLOYMENT}/events", DEPLOYMENT_GET.subject, UNKNOWN),
        (
            f"/tracks/{samples.TRACK}/versions/1/bundle",
            BUNDLE_GET.subject,
            QueryError("bundle_missing", "Simulate the graph first.", 409),
        ),
    ],
)
async def test_an_error_of_deploy_becomes_a_problem(
    http: httpx.AsyncClient, owners: Owners, path: str, subject: str, error: QueryError
) -> None:
    """The problem has the code, the sentence and the status of deploy."""
    owners.respond_with(subject, error)
    response = await http.get(API + path)
    assert (response.status_code, response.json()["code"]) == (error.status, error.code)
    assert_matches(response.json(), "Problem")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/devices/k1%20a", "must be 1 to 40 of"),
        ("/devices/" + "x" * 41, "must be 1 to 40 of"),
        ("/devices?group=a.b", "must be 1 to 40 of"),
        ("/deployments/dep_1", "is no id of this kind"),
        ("/deployments?status=running", "Input should be"),
    ],
)
async def test_an_invalid_name_is_explained(http: httpx.AsyncClient, path: str, hint: str) -> None:
    """The problem shows what a name of this kind looks like."""
    response = await http.get(API + path)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert hint in response.json()["errors"][0]["message"]


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


_MANY = [f"k1-{number}" for number in range(DEPLOYMENT_MAX_DEVICES + 1)]
HOSTILE: list[tuple[Any, int, str, str]] = [
    ("[" * 200_000, 400, "malformed_json", "JSON"),
    ('{"track_id": ' + '{"a":' * 5000 + "1" + "}" * 5001, 400, "malformed_json", "JSON"),
    ('{"version": NaN}', 400, "malformed_json", "NaN"),
    ('{"strategy": {"observe_seconds": -Infinity}}', 400, "malformed_json", "Infinity"),
    (b"\xff\xfe", 400, "malformed_json", "JSON"),
    (" " * 1_100_000, 413, "body_too_large", "1 MiB"),
    ("[]", 422, "invalid_body", "object"),
    ("", 422, "invalid_body", "object"),
    ({}, 422, "invalid_body", "track_id"),
    ({**ORDER, "colour": "red"}, 422, "invalid_body", "colour"),
    ({**ORDER, "deployment_id": samples.DEPLOYMENT}, 422, "invalid_body", "deployment_id"),
    ({**ORDER, "strategy": {"canry": 1}}, 422, "invalid_body", "strategy.canry"),
    ({**ORDER, "version": True}, 422, "invalid_body", "version"),
    ({**ORDER, "version": "3"}, 422, "invalid_body", "version"),
    ({**ORDER, "version": 10**30}, 422, "invalid_body", "version"),
    ({**ORDER, "dry_run": "no"}, 422, "invalid_body", "dry_run"),
    ({**ORDER, "device_ids": []}, 422, "invalid_body", "device_ids"),
    ({**ORDER, "device_ids": _MANY}, 422, "invalid_body", "device_ids"),
    ({**ORDER, "device_ids": ["a.b"] * 1500}, 422, "invalid_body", "1450 more"),
    ({**ORDER, "device_ids": ["*"]}, 422, "invalid_body", "device_ids.0"),
    ({**ORDER, "group": "stage"}, 422, "invalid_body", "either device_ids or group"),
    ({"track_id": samples.TRACK, "version": 1}, 422, "invalid_body", "either device_ids or group"),
    ({**ORDER, "strategy": {"max_failures": "101%"}}, 422, "invalid_body", "max_failures"),
    ({**ORDER, "strategy": {"max_failures": -1}}, 422, "invalid_body", "max_failures"),
    ({**ORDER, "activation": {"when": "time", "at": "2026-05-01T20:00:00"}}, 422, "invalid_body", "zone"),
    ({**ORDER, "activation": {"when": "later"}}, 422, "invalid_body", "activation"),
    ({**ORDER, "overrides": [{"gate": "firmware", "reason": "short"}]}, 422, "invalid_body", "overrides.0"),
    ({**ORDER, "requested_by": "a\0b"}, 422, "invalid_body", "requested_by"),
    ('{"track_id": "\\ud800"}', 422, "invalid_body", "track_id"),
]


@pytest.mark.parametrize(("body", "status", "code", "named"), HOSTILE)
async def test_a_hostile_request_is_rejected_with_reasons(
    http: httpx.AsyncClient,
    deploy: Owners,
    requested: RequestedDeployments,
    *,
    body: Any,
    status: int,
    code: str,
    named: str,
) -> None:
    """The faults are named in a response of limited size; no query is sent, nothing is published."""
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    response = await http.post(URL, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert named in response.json()["detail"]
    assert len(response.content) < 20_000
    assert deploy.received == []
    assert await requested.count() == 0


async def test_two_thousand_devices_are_accepted(
    http: httpx.AsyncClient, deploy: Owners, requested: RequestedDeployments
) -> None:
    """Their ids have the maximum length."""
    ids = [f"k1-{number:037}" for number in range(DEPLOYMENT_MAX_DEVICES)]
    assert (await http.post(URL, json={**ORDER, "device_ids": ids})).status_code == 202
    assert (await requested.next())[1].device_ids == ids


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
