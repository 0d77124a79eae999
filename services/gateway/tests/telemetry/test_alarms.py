"""Alarms and the figures of the fleet through the gateway: over HTTP, GraphQL and as a stream."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
from nats.aio.client import Client

from k1_contracts.messages.alarms import (
    ALARM_ACKNOWLEDGE,
    ALARM_LIST,
    AcknowledgeAlarm,
    Alarm,
    AlarmPage,
    ListAlarms,
)
from k1_contracts.messages.fleet import FLEET_GET, FLEET_SUMMARY, FleetView, GetFleet
from services.gateway.tests.conftest import Owners
from tests.support.waiting import PATIENCE_S

API = "/api/v1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALARM = Alarm(
    id="alm_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    device_id="k1-a",
    kind="drift",
    level="alert",
    state="open",
    raised=True,
    reason="drift_ms > 50",
    since=NOW,
    opened_at=NOW,
    changed_at=NOW,
)
FLEET = FleetView(
    devices=3,
    active_devices=2,
    by_firmware=[],
    by_bundle=[],
    deployments_running=0,
    open_alarms=1,
    acknowledged_alarms=0,
    at=NOW,
)
DOCUMENT = """
mutation($id: ID!) { acknowledge_alarm(id: $id, note: "mine") { id state reason } }
"""
READ = (
    '{ alarms(state: "open", device_id: "k1-a") { total items { id } } fleet { active_devices open_alarms } }'
)


async def test_alarms_are_listed_and_acknowledged(http: httpx.AsyncClient, owners: Owners) -> None:
    """Telemetry gets what the client sent; unknown states and fields are refused."""
    page = AlarmPage(total=1, items=[ALARM])
    owners.respond_with(ALARM_LIST.subject, page)
    owners.respond_with(ALARM_ACKNOWLEDGE.subject, ALARM)
    query = {"state": "open", "device_id": "k1-a", "limit": 5}
    listed = await http.get(f"{API}/alarms", params=query)
    assert AlarmPage.model_validate_json(listed.content) == page
    done = await http.post(f"{API}/alarms/{ALARM.id}/acknowledge", json={"note": " mine "})
    assert (done.status_code, Alarm.model_validate_json(done.content)) == (200, ALARM)
    assert owners.received == [
        ListAlarms.model_validate(query),
        AcknowledgeAlarm(alarm_id=ALARM.id, note="mine"),
    ]
    wrong = await http.get(f"{API}/alarms", params={"state": "loud"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_parameter")
    wrong = await http.post(f"{API}/alarms/{ALARM.id}/acknowledge", json={"by": "me"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_body")


async def test_graphql_has_the_same(http: httpx.AsyncClient, owners: Owners) -> None:
    """The fields, the figures and the mutation send the same queries."""
    owners.respond_with(ALARM_LIST.subject, AlarmPage(total=1, items=[ALARM]))
    owners.respond_with(ALARM_ACKNOWLEDGE.subject, ALARM)
    owners.respond_with(FLEET_GET.subject, FLEET)
    read = await http.post(f"{API}/graphql", json={"query": READ})
    assert read.json() == {
        "data": {
            "alarms": {"total": 1, "items": [{"id": ALARM.id}]},
            "fleet": {"active_devices": 2, "open_alarms": 1},
        }
    }
    changed = await http.post(f"{API}/graphql", json={"query": DOCUMENT, "variables": {"id": ALARM.id}})
    changed_alarm = {"id": ALARM.id, "state": "open", "reason": "drift_ms > 50"}
    assert changed.json() == {"data": {"acknowledge_alarm": changed_alarm}}
    assert AcknowledgeAlarm(alarm_id=ALARM.id, note="mine") in owners.received
    assert GetFleet() in owners.received


async def test_the_stream_begins_with_the_figures_and_follows(
    http: httpx.AsyncClient, owners: Owners, nats_client: Client
) -> None:
    """What telemetry publishes comes at once, the newest alone where several wait."""
    owners.respond_with(FLEET_GET.subject, FLEET)
    single = await http.get(f"{API}/fleet")
    assert FleetView.model_validate_json(single.content) == FLEET
    newer = FLEET.model_copy(update={"open_alarms": 7})
    async with http.stream("GET", f"{API}/fleet/stream") as response, asyncio.timeout(PATIENCE_S):
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert await _next(lines) == json.loads(FLEET.to_json())
        await nats_client.publish(FLEET_SUMMARY.subject, newer.to_json())
        while (figures := await _next(lines))["at"] != "2026-03-01T12:00:00.000Z":
            pass
        assert figures["open_alarms"] == 7


async def _next(lines: Any) -> Any:
    async for line in lines:
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")
