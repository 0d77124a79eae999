"""Tests two processes with one leader: kills, pauses and broker restarts cause no false event."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NoKeysError
from nats.js.kv import KV_DEL, KV_OP

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts import streams
from k1_contracts.messages.telemetry import (
    DEVICE_ALARM,
    DEVICE_OFFLINE,
    DEVICE_ONLINE,
    DEVICE_READINGS,
    PRESENCE_VALIDITY,
    DeviceOffline,
)
from k1_platform.nats.jetstream_api import ANY_KEY, key_of, key_subject
from k1_telemetry.leadership.election import LEADER_KEY
from k1_telemetry.leadership.lease import TTL_S
from services.telemetry.tests.conftest import FakeDevice, MessageRecorder
from tests.support.bus import connected_client, read_stream
from tests.support.servers.nats_server import running_nats_server
from tests.support.service_process import RunningService, log_entries, running_service
from tests.support.waiting import PATIENCE_S, eventually

StartSending = Callable[..., "asyncio.Task[None]"]
Start = Callable[[], RunningService]
COUNT = 20
EVENTS = (DEVICE_ONLINE.subject, DEVICE_OFFLINE.subject, DEVICE_ALARM.subject)
SESSION_END_MESSAGES = {"no longer the leader", "the leader session failed"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a provisioned broker for one test only."""
    with running_nats_server(tmp_path / "broker", provisioned=True) as server:
        yield server


@pytest.fixture
async def client(broker: NatsServer) -> AsyncIterator[Client]:
    """Return a client of the broker; it reconnects when the broker restarts."""
    async with connected_client(
        broker.settings, max_reconnect_attempts=-1, reconnect_time_wait=0.1
    ) as client:
        yield client


@pytest.fixture
def start(
    broker: NatsServer, client: Client, service_environment: dict[str, str], tmp_path: Path
) -> Iterator[Start]:
    """Return a function that starts one more process of the service."""
    bus = {"K1_NATS_URL": broker.settings.url, "K1_NATS_CREDS": str(broker.settings.creds)}
    environment = service_environment | bus
    with ExitStack() as running:
        yield lambda: running.enter_context(running_service("telemetry", environment, tmp_path))


@pytest.fixture
async def fleet(client: Client, start_sending: StartSending) -> list[FakeDevice]:
    """Start devices that send: half of them ten a second, half one a second; the first has drift."""
    devices = [FakeDevice(client, f"k1-{number}") for number in range(COUNT)]
    for number, device in enumerate(devices):
        start_sending(device, rate=10 if number % 2 else 1, drift_ms=60.0 if number == 0 else 1.0)
    return devices


@pytest.fixture
async def recorder(client: Client) -> MessageRecorder:
    """Record events and live samples."""
    recorder = MessageRecorder(client)
    await recorder.subscribe("device.online", "device.offline", "device.alarm", "live.telemetry.*")
    return recorder


@dataclass
class LeaseChange:
    """A change of the lease: its holder acquires or renews it, or None for a release."""

    at_s: float
    holder: str | None


@pytest.fixture
async def lease_changes(client: Client) -> list[LeaseChange]:
    """Record all changes of the lease from before the first process starts."""
    changes: list[LeaseChange] = []

    async def record(message: Msg) -> None:
        released = (message.headers or {}).get(KV_OP) == KV_DEL
        changes.append(LeaseChange(time.monotonic(), None if released else message.data.decode()))

    await client.subscribe(key_subject(streams.LEADERS.name, LEADER_KEY), cb=record)
    await client.flush()
    return changes


async def role(service: RunningService) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_S, verify=False) as http:
        return (await http.get(f"{service.url}/readyz")).json()["role"]


async def wait_for_role(service: RunningService, wanted: str) -> None:
    async def has_role() -> bool:
        return await role(service) == wanted

    await eventually(has_role, f"the service at {service.url} is {wanted}")


async def leader_and_standby(
    one: RunningService, other: RunningService
) -> tuple[RunningService, RunningService]:
    """Return the leader and the standby; a process that was paused has lost the lease to the other."""

    async def distinct_roles() -> list[str] | None:
        roles = [await role(one), await role(other)]
        return roles if sorted(roles) == ["leader", "standby"] else None

    roles = await eventually(distinct_roles, "one leads and the other stands by")
    return (one, other) if roles[0] == "leader" else (other, one)


async def wait_for_all_online(recorder: MessageRecorder) -> None:
    """Wait for the online event of every device and the alarms of the first."""

    def online() -> set[str]:
        return {event["device_id"] for event in recorder.of(DEVICE_ONLINE.subject)}

    def levels() -> set[str]:
        return {event["level"] for event in recorder.of(DEVICE_ALARM.subject, device_id="k1-0")}

    await recorder.wait_for(lambda: len(online()) == COUNT, "all online")
    await recorder.wait_for(lambda: levels() >= {"amber", "alert"}, "amber and alert")


async def assert_only_first_events(recorder: MessageRecorder, broker_back: datetime | None = None) -> None:
    """Assert that only the online events and the first two alarms were published.

    Silence is allowed if it is true: the running broker received no message of the device for five seconds,
    because this machine was paused.
    """
    events = {subject: recorder.of(subject) for subject in EVENTS}
    silences = [DeviceOffline.model_validate(event) for event in events[DEVICE_OFFLINE.subject]]
    stored = await stored_times(recorder.client) if silences else {}
    for silence in silences:
        assert silence.reason == "silence"
        assert silence.last_seen is not None
        since = max(silence.last_seen, broker_back or silence.last_seen)
        assert silence.at - since >= timedelta(seconds=4.9)
        begin, end = since + timedelta(seconds=0.01), since + timedelta(seconds=4)
        assert not [at for at in stored[silence.device_id] if begin < at < end]
    excused = {silence.device_id for silence in silences}
    online = [event["device_id"] for event in without_repeats(events[DEVICE_ONLINE.subject])]
    assert sorted(set(online)) == sorted(f"k1-{number}" for number in range(COUNT))
    assert {device_id for device_id in online if online.count(device_id) > 1} <= excused
    alarms = [
        event for event in without_repeats(events[DEVICE_ALARM.subject]) if event["device_id"] not in excused
    ]
    expected = [] if "k1-0" in excused else [("alert", "raised"), ("amber", "raised")]
    assert sorted((alarm["level"], alarm["state"]) for alarm in alarms) == expected


def without_repeats(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events without exact repeats; a new leader may publish an event that was already stored."""
    return [event for number, event in enumerate(events) if event not in events[:number]]


async def stored_times(client: Client) -> dict[str, list[datetime]]:
    """Return when the broker stored the readings of each device."""
    found: dict[str, list[datetime]] = {}
    for message in await read_stream(client, streams.TELEMETRY, DEVICE_READINGS.pattern):
        device_id = message.subject.partition(".")[2]
        found.setdefault(device_id, []).append(message.metadata.timestamp)
    return found


async def wait_for_new_samples(recorder: MessageRecorder) -> None:
    """Wait for live samples of every device that the broker received from now on."""
    now = datetime.now(UTC)

    def all_received() -> bool:
        live = [body for _, subject, body in recorder.messages if subject.startswith("live.")]
        newer = {body["device_id"] for body in live if datetime.fromisoformat(body["timestamp"]) > now}
        return len(newer) == COUNT

    await recorder.wait_for(all_received, "samples of all devices")


async def assert_presence_kept(fleet: list[FakeDevice], for_s: float) -> None:
    """Assert that no device's entry in the presence bucket becomes too old or disappears before it can.

    The tests on simulated time show that it is written often enough.
    """
    asked = time.monotonic()
    end = asked + for_s
    written: dict[str, tuple[datetime, float]] = {}
    while asked < end:
        before, asked = asked, time.monotonic()
        for device in fleet:
            presence = await device.presence()
            if presence is None:
                assert time.monotonic() - written[device.id][1] >= PRESENCE_VALIDITY.total_seconds()
            elif written.get(device.id, (None,))[0] != presence.last_seen:
                written[device.id] = presence.last_seen, before
        await asyncio.sleep(0.05)


async def wait_for_presence_updates(device: FakeDevice, times: int) -> None:
    """Wait until the entry of a device that sends was updated this many times."""
    seen: set[datetime] = set()

    async def is_updated() -> bool:
        presence = await device.presence()
        if presence is not None:
            seen.add(presence.last_seen)
        return len(seen) > times

    await eventually(is_updated, f"{times} updates of the presence of {device.id}", interval_s=0.05)


async def wait_for_presence(fleet: list[FakeDevice]) -> None:
    async def all_present() -> bool:
        return None not in await asyncio.gather(*(device.presence() for device in fleet))

    await eventually(all_present, "the presence of every device", interval_s=0.05)


async def test_a_standby_takes_over_from_a_killed_leader(
    start: Start, fleet: list[FakeDevice], recorder: MessageRecorder
) -> None:
    """It publishes no extra event and removes no presence; `test_leader_lease.py` tests how soon."""
    first = await asyncio.to_thread(start)
    await wait_for_all_online(recorder)
    leader, standby = await leader_and_standby(first, await asyncio.to_thread(start))
    await wait_for_presence_updates(fleet[1], 2)
    await wait_for_presence(fleet)
    leader.process.kill()
    await asyncio.gather(wait_for_role(standby, "leader"), assert_presence_kept(fleet, 5.5))
    await wait_for_new_samples(recorder)
    await asyncio.sleep(
        5.5
    )  # Longer than the silence timeout: a missed message would have caused an event by now.
    await wait_for_presence(fleet)
    await assert_only_first_events(recorder)

    async def has_alert() -> bool:
        return await levels_in_presence(fleet[0]) == [("drift", "alert")]

    await eventually(has_alert, "the alert in the presence of the first device", interval_s=0.05)


async def levels_in_presence(device: FakeDevice) -> list[tuple[str, str]] | None:
    presence = await device.presence()
    return presence and [(alarm.kind, alarm.level) for alarm in presence.alarms]


async def test_a_leader_that_stops_hands_over_at_once(
    start: Start, fleet: list[FakeDevice], recorder: MessageRecorder, lease_changes: list[LeaseChange]
) -> None:
    """The lease is released before it expires, and no false event is published."""
    first = await asyncio.to_thread(start)
    await wait_for_all_online(recorder)
    leader, standby = await leader_and_standby(first, await asyncio.to_thread(start))
    leader.process.terminate()
    await wait_for_role(standby, "leader")
    await wait_for_new_samples(recorder)
    await assert_only_first_events(recorder)
    new = lease_changes[-1].holder
    earlier, later = next(pair for pair in pairwise(lease_changes) if pair[1].holder == new != pair[0].holder)
    # A process that was paused for too long does not release an expired lease.
    assert earlier.holder is None or later.at_s - earlier.at_s >= TTL_S - 0.1


async def wait_for_no_presence(fleet: list[FakeDevice]) -> None:
    async def none_present() -> bool:
        return await asyncio.gather(*(device.presence() for device in fleet)) == [None] * len(fleet)

    await eventually(none_present, "no device has a valid presence", interval_s=0.05)


async def test_a_leader_publishes_which_devices_left_while_there_was_none(
    start: Start, client: Client, recorder: MessageRecorder, start_sending: StartSending
) -> None:
    """It comes when no entry is valid any more: a device that said bye or is silent goes offline exactly once.

    Their entries are not written again, and are removed. A device that sends again stays online, without an event.
    """
    names = ("silent", "leaving", "staying")
    fleet = [silent, leaving, staying] = [FakeDevice(client, f"k1-{name}") for name in names]
    first = await asyncio.to_thread(start)
    sending = [start_sending(device) for device in fleet]
    await wait_for_presence(fleet)
    first.process.kill()
    for task in sending:
        task.cancel()
    await wait_for_no_presence(fleet)
    await leaving.announce("bye")
    written = await record_presence_writes(client)
    await asyncio.to_thread(start)
    start_sending(staying)
    await recorder.event(DEVICE_OFFLINE.subject, device_id=silent.id)
    last = FakeDevice(client, "k1-last")
    await last.send()  # An event that is published twice comes before this device is offline.
    await recorder.event(DEVICE_OFFLINE.subject, device_id=last.id)
    bucket = await client.jetstream().key_value(streams.PRESENCE.name)

    async def only_staying() -> bool:
        return await bucket.keys() == [staying.id]

    await eventually(
        only_staying, "the entries of the devices that left are removed", retry_on=(NoKeysError,)
    )
    offline = [(event["device_id"], event["reason"]) for event in recorder.of(DEVICE_OFFLINE.subject)]
    assert sorted(offline) == [(last.id, "silence"), (leaving.id, "bye"), (silent.id, "silence")]
    online = [event["device_id"] for event in recorder.of(DEVICE_ONLINE.subject)]
    assert sorted(online) == sorted(device.id for device in [*fleet, last])
    assert set(written) == {staying.id, last.id}


async def record_presence_writes(client: Client) -> list[str]:
    """Return a list that grows by the id of a device whenever its entry in the presence bucket is written."""
    written: list[str] = []

    async def record(message: Msg) -> None:
        if message.data:
            written.append(key_of(streams.PRESENCE.name, message.subject))

    await client.subscribe(key_subject(streams.PRESENCE.name, ANY_KEY), cb=record)
    await client.flush()
    return written


async def test_a_paused_leader_publishes_nothing_more(
    start: Start, fleet: list[FakeDevice], recorder: MessageRecorder
) -> None:
    """When it resumes, another process leads: it is a standby, and each sample is published only once."""
    paused = await asyncio.to_thread(start)
    await wait_for_all_online(recorder)
    other = await asyncio.to_thread(start)
    paused.process.send_signal(signal.SIGSTOP)
    try:
        await wait_for_role(other, "leader")
        await asyncio.sleep(3)
    finally:
        paused.process.send_signal(signal.SIGCONT)
    await eventually(
        lambda: {entry["message"] for entry in log_entries(paused.log)} & SESSION_END_MESSAGES,
        "the paused leader has ended its session",
        interval_s=0.05,
    )
    await leader_and_standby(paused, other)
    await wait_for_new_samples(recorder)
    await assert_only_first_events(recorder)
    stamps = [
        (body["device_id"], body["timestamp"]) for _, subject, body in recorder.messages if "live" in subject
    ]
    assert len(stamps) == len(set(stamps))


@pytest.mark.parametrize("outage_s", [0.0, pytest.param(8.0, marks=pytest.mark.long)])
async def test_a_broker_restart_causes_no_silence(
    broker: NatsServer, start: Start, fleet: list[FakeDevice], recorder: MessageRecorder, outage_s: float
) -> None:
    """Neither a short nor a long outage of the broker is taken for silence of the devices."""
    service = await asyncio.to_thread(start)
    await wait_for_all_online(recorder)
    broker.kill()
    await asyncio.sleep(outage_s)
    restarted_at = datetime.now(UTC)
    await asyncio.to_thread(broker.start)
    await eventually(lambda: recorder.client.is_connected, "the client is connected again")
    await wait_for_new_samples(recorder)
    await asyncio.sleep(5.5)  # Longer than the silence timeout.
    await assert_only_first_events(recorder, restarted_at)
    await wait_for_role(service, "leader")
    late = FakeDevice(recorder.client, "late")
    await recorder.event(DEVICE_ONLINE.subject, lambda: late.announce("hello"), device_id="late")
    assert service.process.poll() is None
