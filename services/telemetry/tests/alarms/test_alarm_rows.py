"""Tests the rows of alarms with running services, a real broker and a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.actors import Actor
from k1_contracts.envelope import ACTOR_HEADER
from k1_contracts.messages.alarms import (
    ALARM_ACKNOWLEDGE,
    ALARM_LIST,
    AcknowledgeAlarm,
    Alarm,
    AlarmPage,
    ListAlarms,
)
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_contracts.rpc import Response
from k1_platform.postgres.pool import Pool
from k1_telemetry.alarms import store
from k1_telemetry.alarms.lifecycle import FLAP_QUIET, record_event
from k1_telemetry.alarms.reconciliation import SETTLING
from k1_telemetry.alarms.recorder import AlarmRecorder, save_change
from services.telemetry.tests.conftest import FakeDevice, MessageRecorder
from tests.support.bus import connected_client
from tests.support.servers.nats_server import running_nats_server
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import eventually

ADA = Actor(kind="user", id="usr_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", name="Ada", role="operator")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEVICES = 8


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a provisioned broker for one test only."""
    with running_nats_server(tmp_path / "broker", provisioned=True) as server:
        yield server


@pytest.fixture
async def client(broker: NatsServer) -> AsyncIterator[Client]:
    """Return a client of the broker."""
    async with connected_client(broker.settings) as client:
        yield client


@pytest.fixture
def start(
    broker: NatsServer, pool: Pool, service_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[], RunningService]]:
    """Return a function that starts one more process of the service, on empty tables."""
    bus = {"K1_NATS_URL": broker.settings.url, "K1_NATS_CREDS": str(broker.settings.creds)}
    environment = service_environment | bus
    with ExitStack() as running:
        yield lambda: running.enter_context(running_service("telemetry", environment, tmp_path))


@pytest.fixture
async def recorder(client: Client) -> MessageRecorder:
    """Record the events of alarms."""
    recorder = MessageRecorder(client)
    await recorder.subscribe("alarm.*")
    return recorder


async def send(client: Client, query: Any, body: Any, actor: Actor = ADA) -> Response[Any]:
    headers = {ACTOR_HEADER: actor.to_header()}
    reply = await client.request(query.subject, body.to_json(), headers=headers, timeout=10)
    return Response[query.response].model_validate_json(reply.data)


async def list_alarms(client: Client, **filters: Any) -> AlarmPage:
    result = (await send(client, ALARM_LIST, ListAlarms.model_validate(filters))).result
    assert result is not None
    return result


async def test_a_killed_leader_loses_or_doubles_no_alarm(
    start: Callable[[], RunningService],
    client: Client,
    recorder: MessageRecorder,
    start_sending: Callable[..., "asyncio.Task[None]"],
) -> None:
    """The leader dies while alarms open, the next while they clear: each device has one row a level, opened and cleared once."""
    devices = [FakeDevice(client, f"k1-{number}") for number in range(DEVICES)]
    first, _ = await asyncio.to_thread(start), await asyncio.to_thread(start)
    sending = [start_sending(device, drift_ms=60.0) for device in devices]
    await recorder.wait_for(lambda: recorder.of("alarm.opened"), "the first alarm")
    first.process.kill()
    third = await asyncio.to_thread(start)

    def opened(number: int) -> Callable[[], bool]:
        return lambda: len({body["id"] for body in recorder.of("alarm.opened")}) >= number

    await recorder.wait_for(opened(2 * DEVICES), "amber and alert of every device")
    for task in sending:
        task.cancel()
    for device in devices:
        start_sending(device, drift_ms=1.0)
    await recorder.wait_for(lambda: recorder.of("alarm.cleared"), "the first end")
    third.process.kill()
    await asyncio.to_thread(start)

    async def all_cleared() -> bool:
        return (await list_alarms(client, state="cleared")).total == 2 * DEVICES

    await eventually(all_cleared, "every alarm is cleared")
    page = await list_alarms(client, limit=200)
    levels = sorted((alarm.device_id, alarm.level) for alarm in page.items)
    assert levels == sorted((device.id, level) for device in devices for level in ("amber", "alert"))
    ids = sorted(alarm.id for alarm in page.items)
    for subject in ("alarm.opened", "alarm.cleared"):
        assert sorted({body["id"] for body in recorder.of(subject)}) == ids


async def test_an_operator_acknowledges_once_and_a_viewer_does_not(
    start: Callable[[], RunningService], client: Client, pool: Pool, recorder: MessageRecorder
) -> None:
    """The name, the note and the audit are those of the first; the list finds it by state and device, page by page."""
    await asyncio.to_thread(start)
    for number in range(3):
        await _open(pool, f"k1-{number}", NOW + timedelta(seconds=number))
    page = await list_alarms(client, state="open", limit=2)
    assert [alarm.device_id for alarm in page.items] == ["k1-2", "k1-1"]
    assert page.total == 3
    rest = await list_alarms(client, state="open", limit=2, cursor=page.next_cursor)
    assert [alarm.device_id for alarm in rest.items] == ["k1-0"]
    wanted = AcknowledgeAlarm(alarm_id=rest.items[0].id, note="on my way")
    refused = await send(client, ALARM_ACKNOWLEDGE, wanted, ADA.model_copy(update={"role": "editor"}))
    assert refused.error is not None
    assert refused.error.code == "role_required"
    first = await send(client, ALARM_ACKNOWLEDGE, wanted)
    bob = ADA.model_copy(update={"name": "Bob"})
    again = await send(client, ALARM_ACKNOWLEDGE, wanted.model_copy(update={"note": "mine"}), bob)
    assert again.result == first.result
    assert first.result is not None
    assert (first.result.acknowledged_by, first.result.note) == ("Ada", "on my way")
    found = await list_alarms(client, state="acknowledged", device_id="k1-0")
    assert [alarm.id for alarm in found.items] == [wanted.alarm_id]
    audit = await pool.fetch("SELECT actor->>'name' AS name, action, alarm_id, detail FROM telemetry.audit")
    assert [tuple(row) for row in audit] == [("Ada", "acknowledged", wanted.alarm_id, "on my way")]
    event = await recorder.event("alarm.acknowledged")
    assert (event["id"], event["acknowledged_by"]) == (wanted.alarm_id, "Ada")
    unknown = AcknowledgeAlarm(alarm_id="alm_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD")
    missing = await send(client, ALARM_ACKNOWLEDGE, unknown)
    assert missing.error is not None
    assert (missing.error.code, missing.error.status) == ("alarm_not_found", 404)


async def test_rows_end_without_an_event_and_are_deleted_in_time(pool: Pool) -> None:
    """An alarm that the fleet does not know is cleared, one that flapped ends when it is quiet, old rows go."""
    now = NOW + timedelta(hours=1)
    recorder = AlarmRecorder(pool, timedelta(days=1), lambda: now, lambda: None)
    missed = await _open(pool, "k1-missed", NOW)
    flapping = await _open(pool, "k1-flapping", NOW)
    async with pool.acquire() as connection:
        quiet = flapping.model_copy(update={"flapping": True, "raised": False})
        await store.save_alarm(connection, quiet)
    await recorder.reconcile(lambda _: None, NOW + SETTLING)
    await recorder.settle_quiet(NOW + FLAP_QUIET)
    async with pool.acquire() as connection:
        ended = [await store.find_alarm(connection, alarm.id) for alarm in (missed, flapping)]
        assert [alarm and alarm.clear_reason for alarm in ended] == [
            "the device is offline",
            "quiet for 60s after flapping",
        ]
        names = [
            row["subject"]
            for row in await connection.fetch("SELECT subject FROM telemetry.outbox ORDER BY id")
        ]
        assert names == ["alarm.opened", "alarm.opened", "alarm.cleared", "alarm.cleared"]
        await store.delete_cleared(connection, NOW + SETTLING)
        assert await store.find_alarm(connection, missed.id) is not None
        await store.delete_cleared(connection, NOW + SETTLING + timedelta(microseconds=1))
        assert await store.find_alarm(connection, missed.id) is None
        assert await store.find_alarm(connection, flapping.id) is not None


async def _open(pool: Pool, device_id: str, opened_at: datetime) -> Alarm:
    """Add an open alarm as an event of the device does."""
    raised = DeviceAlarm(
        device_id=device_id,
        kind="temperature",
        level="alarm",
        state="raised",
        reason="temp_c > 80",
        since=opened_at,
        at=opened_at,
    )
    change = record_event(raised, None, [], f"alm_01K9Z6Q3T4V8W2X0Y1Z5{opened_at:%M%S}{len(device_id):02}")
    assert change is not None
    async with pool.acquire() as connection, connection.transaction():
        await save_change(connection, change)
    return change.alarm
