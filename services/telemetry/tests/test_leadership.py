"""Two processes, one active: kills, pauses and a broker that restarts bring no false word about any device."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import nats
import pytest
from nats.aio.client import Client

from k1_cli.embedded.home import Home
from k1_cli.embedded.nats import NatsServer
from k1_contracts import subjects
from k1_platform.nats_connection import connect_options
from k1_platform.provision import provision_bus
from services.telemetry.tests.conftest import FakeDevice, Heard
from tests.support.service_process import RunningService, running_service

Begin = Callable[..., "asyncio.Task[None]"]
Start = Callable[[], RunningService]
COUNT = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    """A broker of this test alone."""
    home = Home(tmp_path / "broker")
    home.create()
    server = NatsServer(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(broker: NatsServer) -> AsyncIterator[Client]:
    """A provisioned broker's client, which comes back when the broker does."""
    client = await nats.connect(
        **connect_options(broker.settings), max_reconnect_attempts=-1, reconnect_time_wait=0.1
    )
    await provision_bus(client.jetstream())
    yield client
    await client.close()


@pytest.fixture
def start(broker: NatsServer, client: Client, tmp_path: Path) -> Iterator[Start]:
    """Start one more process of the service."""
    environment = {"K1_NATS_URL": broker.settings.url, "K1_NATS_CREDS": str(broker.settings.creds)}
    with ExitStack() as running:
        yield lambda: running.enter_context(running_service("telemetry", environment, tmp_path))


@pytest.fixture
async def fleet(client: Client, playing: Begin) -> list[FakeDevice]:
    """Devices that send: half of them ten a second, half one a second; the first drifts."""
    devices = [FakeDevice(client, f"k1-{number}") for number in range(COUNT)]
    for number, device in enumerate(devices):
        playing(device, rate=10 if number % 2 else 1, drift_ms=60.0 if number == 0 else 1.0)
    return devices


@pytest.fixture
async def told(client: Client) -> Heard:
    """Facts and live samples."""
    heard = Heard(client)
    await heard.listen("device.online", "device.offline", "device.alarm", "live.telemetry.*")
    return heard


async def role(service: RunningService) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{service.url}/readyz")).json()["role"]


async def until_role(service: RunningService, wanted: str, within_s: float = 20) -> float:
    """Seconds until the service has this role."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while await role(service) != wanted:
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def all_online(told: Heard) -> None:
    """Every device, and the first one's levels, were told once."""
    await told.until(lambda: len(told.of(subjects.DEVICE_ONLINE)) >= COUNT, "all online")
    await told.until(lambda: len(told.of(subjects.DEVICE_ALARM)) >= 2, "amber and alert")


def only_the_beginning(told: Heard) -> bool:
    """Nothing was told but that the devices came online, and the two levels."""
    facts = [subject for _, subject, _ in told.messages if not subject.startswith("live.")]
    return sorted(facts) == sorted([subjects.DEVICE_ONLINE] * COUNT + [subjects.DEVICE_ALARM] * 2)


async def samples_go_on(told: Heard) -> None:
    """Every device's live samples come, after now."""
    begin = len(told.messages)

    def all_heard() -> bool:
        return (
            len({subject for _, subject, _ in told.messages[begin:] if subject.startswith("live.")}) == COUNT
        )

    await told.until(all_heard, "samples of all devices")


async def nobody_missing(fleet: list[FakeDevice], for_s: float) -> None:
    """Every device has its entry in the presence bucket all the time."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        entries = await asyncio.gather(*(device.presence() for device in fleet))
        assert None not in entries
        await asyncio.sleep(0.05)


async def said_again(device: FakeDevice, for_s: float) -> None:
    """The entry of a device that sends ten a second is never so old that a takeover would outlast it."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        presence = await device.presence()
        assert presence is not None
        assert (datetime.now(UTC) - presence.last_seen).total_seconds() < 2.2
        await asyncio.sleep(0.05)


async def test_a_standby_takes_over_from_a_killed_leader(
    start: Start, fleet: list[FakeDevice], told: Heard
) -> None:
    """Within about four seconds, without a fact too many and without a gap in presence."""
    leader = await asyncio.to_thread(start)
    await all_online(told)
    standby = await asyncio.to_thread(start)
    assert (await role(leader), await role(standby)) == ("leader", "standby")
    await said_again(fleet[1], 3)
    leader.process.kill()
    took, _ = await asyncio.gather(until_role(standby, "leader"), nobody_missing(fleet, 5.5))
    print(f"takeover after {took:.2f} s")
    assert took < 5
    await samples_go_on(told)
    await asyncio.sleep(5.5)  # Longer than a silence: what was not heard meanwhile would be told by now.
    assert only_the_beginning(told)
    presence = await fleet[0].presence()
    assert presence is not None
    assert [(alarm.kind, alarm.level) for alarm in presence.alarms] == [("drift", "alert")]


async def test_a_leader_that_stops_hands_over_at_once(
    start: Start, fleet: list[FakeDevice], told: Heard
) -> None:
    """The lease is given back; nobody notices anything."""
    leader = await asyncio.to_thread(start)
    await all_online(told)
    standby = await asyncio.to_thread(start)
    leader.process.terminate()
    took = await until_role(standby, "leader")
    print(f"handed over after {took:.2f} s")
    assert took < 2
    await samples_go_on(told)
    assert only_the_beginning(told)


async def test_a_leader_that_was_paused_says_nothing_more(
    start: Start, fleet: list[FakeDevice], told: Heard
) -> None:
    """When it wakes, another leads: it stands by, and each sample is told by one process only."""
    paused = await asyncio.to_thread(start)
    await all_online(told)
    other = await asyncio.to_thread(start)
    paused.process.send_signal(signal.SIGSTOP)
    try:
        await until_role(other, "leader")
        await asyncio.sleep(3)
    finally:
        paused.process.send_signal(signal.SIGCONT)
    await until_role(paused, "standby")
    assert await role(other) == "leader"
    await samples_go_on(told)
    assert only_the_beginning(told)
    stamps = [
        (body["device_id"], body["timestamp"]) for _, subject, body in told.messages if "live" in subject
    ]
    assert len(stamps) == len(set(stamps))


@pytest.mark.parametrize("away_s", [0.0, 8.0])
async def test_a_broker_that_restarts_ends_nothing(
    broker: NatsServer, start: Start, fleet: list[FakeDevice], told: Heard, away_s: float
) -> None:
    """Neither a short nor a long absence of the broker is taken for the devices' silence."""
    service = await asyncio.to_thread(start)
    await all_online(told)
    broker.kill()
    await asyncio.sleep(away_s)
    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(20):
        while not told.client.is_connected:
            await asyncio.sleep(0.02)
    await samples_go_on(told)
    await asyncio.sleep(5.5)  # Longer than a silence.
    assert only_the_beginning(told)
    assert await role(service) == "leader"
    await FakeDevice(told.client, "late").say("hello")
    await told.fact(subjects.DEVICE_ONLINE, device_id="late")
    assert service.process.poll() is None
