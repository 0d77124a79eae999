"""Two processes, one active: kills, pauses and a broker that restarts bring no false word about any device."""

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
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.kv import KV_DEL, KV_OP

from k1_cli.embedded.home import Home
from k1_cli.embedded.nats import NatsServer
from k1_contracts import streams, subjects
from k1_contracts.devices import DeviceOffline
from k1_platform.nats_connection import connect_options
from k1_platform.provision import provision_bus
from k1_telemetry.leader import TTL_S
from k1_telemetry.watch import LEADER_KEY
from services.telemetry.tests.conftest import PATIENCE_S, FakeDevice, Heard
from tests.support.service_process import RunningService, log_entries, running_service

Begin = Callable[..., "asyncio.Task[None]"]
Start = Callable[[], RunningService]
COUNT = 20
FACTS = (subjects.DEVICE_ONLINE, subjects.DEVICE_OFFLINE, subjects.DEVICE_ALARM)
ENDS_OF_A_SHIFT = {"no longer the leader", "the shift ended early"}


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
    await provision_bus(client.jetstream(timeout=PATIENCE_S))
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


@dataclass
class Claim:
    """A word about the lease: who takes or renews it, or None: it is given back."""

    at_s: float
    holder: str | None


@pytest.fixture
async def claims(client: Client) -> list[Claim]:
    """All of them, from before the first process on."""
    heard: list[Claim] = []

    async def note(message: Msg) -> None:
        given_back = (message.headers or {}).get(KV_OP) == KV_DEL
        heard.append(Claim(time.monotonic(), None if given_back else message.data.decode()))

    await client.subscribe(f"$KV.{streams.LEADERS.name}.{LEADER_KEY}", cb=note)
    await client.flush()
    return heard


async def role(service: RunningService) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_S, verify=False) as http:
        return (await http.get(f"{service.url}/readyz")).json()["role"]


async def until_role(service: RunningService, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await role(service) != wanted:
            await asyncio.sleep(0.02)


async def leader_and_standby(*two: RunningService) -> tuple[RunningService, RunningService]:
    """Which is which: a process that stood still for a while has lost the lease to the other."""
    async with asyncio.timeout(PATIENCE_S):
        while sorted(roles := [await role(service) for service in two]) != ["leader", "standby"]:
            await asyncio.sleep(0.02)
    return two if roles[0] == "leader" else two[::-1]


async def all_online(told: Heard) -> None:
    """Every device, and the first one's levels, were told."""

    def online() -> set[str]:
        return {fact["device_id"] for fact in told.of(subjects.DEVICE_ONLINE)}

    def levels() -> set[str]:
        return {fact["level"] for fact in told.of(subjects.DEVICE_ALARM, device_id="k1-0")}

    await told.until(lambda: len(online()) == COUNT, "all online")
    await told.until(lambda: levels() >= {"amber", "alert"}, "amber and alert")


async def only_the_beginning(told: Heard, broker_back: datetime | None = None) -> None:
    """Nothing was told but that the devices came online, and the two levels.

    Of a device of which the broker, while it was there, heard nothing for five seconds, because this machine
    stood still, that is told as well; it must be true.
    """
    facts = {subject: told.of(subject) for subject in FACTS}
    silences = [DeviceOffline.model_validate(fact) for fact in facts[subjects.DEVICE_OFFLINE]]
    heard = await taken_in(told.client) if silences else {}
    for silence in silences:
        assert silence.reason == "silence"
        assert silence.last_seen is not None
        since = max(silence.last_seen, broker_back or silence.last_seen)
        assert silence.at - since >= timedelta(seconds=4.9)
        begin, end = since + timedelta(seconds=0.01), since + timedelta(seconds=4)
        assert not [at for at in heard[silence.device_id] if begin < at < end]
    excused = {silence.device_id for silence in silences}
    online = [fact["device_id"] for fact in once(facts[subjects.DEVICE_ONLINE])]
    assert sorted(set(online)) == sorted(f"k1-{number}" for number in range(COUNT))
    assert {device_id for device_id in online if online.count(device_id) > 1} <= excused
    alarms = [fact for fact in once(facts[subjects.DEVICE_ALARM]) if fact["device_id"] not in excused]
    expected = [] if "k1-0" in excused else [("alert", "raised"), ("amber", "raised")]
    assert sorted((alarm["level"], alarm["state"]) for alarm in alarms) == expected


def once(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that were told again, word for word, by a process that could not know that they were."""
    return [fact for number, fact in enumerate(facts) if fact not in facts[:number]]


async def taken_in(client: Client) -> dict[str, list[datetime]]:
    """When the broker stored the readings of each device."""
    found: dict[str, list[datetime]] = {}
    readings = await client.jetstream(timeout=PATIENCE_S).pull_subscribe(
        subjects.TELEMETRY_ANY,
        stream=streams.TELEMETRY,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE),
    )
    while (await readings.consumer_info()).num_pending:
        for message in await readings.fetch(500, timeout=PATIENCE_S):
            device_id = message.subject.partition(".")[2]
            found.setdefault(device_id, []).append(message.metadata.timestamp)
    return found


async def samples_go_on(told: Heard) -> None:
    """Live samples of every device come that the broker has heard from now on."""
    now = datetime.now(UTC)

    def all_heard() -> bool:
        live = [body for _, subject, body in told.messages if subject.startswith("live.")]
        newer = {body["device_id"] for body in live if datetime.fromisoformat(body["timestamp"]) > now}
        return len(newer) == COUNT

    await told.until(all_heard, "samples of all devices")


async def nobody_taken_away(fleet: list[FakeDevice], for_s: float) -> None:
    """No device's entry in the presence bucket is missing before it could run out by itself.

    That it is written often enough not to run out is for simulated time to show.
    """
    asked = time.monotonic()
    end = asked + for_s
    written: dict[str, tuple[datetime, float]] = {}
    while asked < end:
        before, asked = asked, time.monotonic()
        for device in fleet:
            presence = await device.presence()
            if presence is None:
                assert time.monotonic() - written[device.id][1] >= streams.PRESENCE.ttl.total_seconds()
            elif written.get(device.id, (None,))[0] != presence.last_seen:
                written[device.id] = presence.last_seen, before
        await asyncio.sleep(0.05)


async def said_again(device: FakeDevice, times: int) -> None:
    """The entry of a device that sends is written anew again and again."""
    seen: set[datetime] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(seen) <= times:
            presence = await device.presence()
            if presence is not None:
                seen.add(presence.last_seen)
            await asyncio.sleep(0.05)


async def all_present(fleet: list[FakeDevice]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while None in await asyncio.gather(*(device.presence() for device in fleet)):
            await asyncio.sleep(0.05)


async def test_a_standby_takes_over_from_a_killed_leader(
    start: Start, fleet: list[FakeDevice], told: Heard
) -> None:
    """Without a fact too many and without taking anybody's presence away; how soon, `test_leader.py` shows."""
    first = await asyncio.to_thread(start)
    await all_online(told)
    leader, standby = await leader_and_standby(first, await asyncio.to_thread(start))
    await said_again(fleet[1], 2)
    await all_present(fleet)
    leader.process.kill()
    await asyncio.gather(until_role(standby, "leader"), nobody_taken_away(fleet, 5.5))
    await samples_go_on(told)
    await asyncio.sleep(5.5)  # Longer than a silence: what was not heard meanwhile would be told by now.
    await all_present(fleet)
    await only_the_beginning(told)
    async with asyncio.timeout(PATIENCE_S):
        while await levels_in_presence(fleet[0]) != [("drift", "alert")]:
            await asyncio.sleep(0.05)


async def levels_in_presence(device: FakeDevice) -> list[tuple[str, str]] | None:
    presence = await device.presence()
    return presence and [(alarm.kind, alarm.level) for alarm in presence.alarms]


async def test_a_leader_that_stops_hands_over_at_once(
    start: Start, fleet: list[FakeDevice], told: Heard, claims: list[Claim]
) -> None:
    """The lease is given back, not waited for; nobody notices anything."""
    first = await asyncio.to_thread(start)
    await all_online(told)
    leader, standby = await leader_and_standby(first, await asyncio.to_thread(start))
    leader.process.terminate()
    await until_role(standby, "leader")
    await samples_go_on(told)
    await only_the_beginning(told)
    new = claims[-1].holder
    earlier, later = next(pair for pair in pairwise(claims) if pair[1].holder == new != pair[0].holder)
    # Nobody gives back what has run out, if it stood still for so long.
    assert earlier.holder is None or later.at_s - earlier.at_s >= TTL_S - 0.1


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
    async with asyncio.timeout(PATIENCE_S):
        while not {entry["message"] for entry in log_entries(paused.log)} & ENDS_OF_A_SHIFT:
            await asyncio.sleep(0.05)
    await leader_and_standby(paused, other)
    await samples_go_on(told)
    await only_the_beginning(told)
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
    back = datetime.now(UTC)
    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(PATIENCE_S):
        while not told.client.is_connected:
            await asyncio.sleep(0.02)
    await samples_go_on(told)
    await asyncio.sleep(5.5)  # Longer than a silence.
    await only_the_beginning(told, back)
    await until_role(service, "leader")
    late = FakeDevice(told.client, "late")
    await told.fact(subjects.DEVICE_ONLINE, lambda: late.say("hello"), device_id="late")
    assert service.process.poll() is None
