"""Kills the telemetry leader with SIGKILL while devices are online, come online and go offline."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from k1_contracts import streams
from k1_contracts.base import Contract
from k1_contracts.messages.telemetry import (
    DEVICE_OFFLINE,
    DEVICE_ONLINE,
    DEVICE_READINGS,
    DeviceOffline,
    DeviceOnline,
    Presence,
)
from tests.chaos.devices import add_devices, revoked_at_the_end
from tests.chaos.presence_invariants import PresenceHistory, find_violations
from tests.support.bus import connected_client, read_stream
from tests.support.system import System
from tests.support.waiting import PATIENCE_S, eventually

STAYING = [f"stays-{number}" for number in range(4)]
LEAVING = ["leaves-0", "leaves-1"]
COMING = ["comes-0", "comes-1"]
C = TypeVar("C", bound=Contract)


@pytest.mark.chaos
async def test_telemetry_leader_killed_with_devices_online(system: System, tmp_path: Path) -> None:
    """The restarted process takes over: presence is right again, and each change was published exactly once.

    Devices that leave and come while there is no leader are included, however long that lasts.
    """
    async with (
        connected_client(system.stack.bus) as client,
        revoked_at_the_end(client, [*STAYING, *LEAVING, *COMING]),
    ):
        staying = await add_devices(system, client, tmp_path, STAYING)
        leaving = await add_devices(system, client, tmp_path, LEAVING, "mqtt")
        coming = await add_devices(system, client, tmp_path, COMING)
        async with staying:
            await leaving.start()
            await wait_for_presence(client, online=[*STAYING, *LEAVING], offline=COMING)
            old_pid = await asyncio.to_thread(system.kill, "telemetry")
            await asyncio.gather(leaving.stop(), coming.start())
            try:
                await asyncio.to_thread(system.wait_for_restart, "telemetry", old_pid)
                await wait_for_leader(system)
                await wait_for_presence(
                    client, online=[*STAYING, *COMING], offline=LEAVING, seen_after=datetime.now(UTC)
                )
                await wait_for_api(system, online={*STAYING, *COMING}, offline=set(LEAVING))
            finally:
                await coming.stop()
        # The byes come last, so everything before them was processed when they are published.
        everyone = [*STAYING, *LEAVING, *COMING]
        await wait_for_presence(client, online=[], offline=everyone)
        history = await eventually(
            lambda: complete_history(client, everyone), "an offline event of each device"
        )
        assert find_violations(history, everyone, left_during_kill=LEAVING) == []


async def wait_for_leader(system: System) -> None:
    async def leads() -> bool:
        (port,) = [part.port for part in system.stack.services if part.name == "telemetry"]
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            return (await http.get(f"http://127.0.0.1:{port}/readyz")).json()["role"] == "leader"

    await eventually(leads, "the restarted process is the leader", retry_on=(httpx.HTTPError, OSError))


async def wait_for_presence(
    client: Client, online: Iterable[str], offline: Iterable[str], seen_after: datetime | None = None
) -> None:
    """Wait until the presence bucket has exactly the online devices, each with a message after `seen_after`."""
    bucket = await client.jetstream(timeout=PATIENCE_S).key_value(streams.PRESENCE.name)

    async def presence(device_id: str) -> Presence | None:
        try:
            entry = await bucket.get(device_id)
        except KeyNotFoundError:
            return None
        return Presence.model_validate_json(entry.value or b"")

    async def is_right() -> bool:
        there = [await presence(device_id) for device_id in online]
        gone = [await presence(device_id) for device_id in offline]
        current = all(found and (seen_after is None or found.last_seen > seen_after) for found in there)
        return current and not any(gone)

    await eventually(is_right, "the presence bucket is right", interval_s=0.05, retry_on=(NatsError,))


async def wait_for_api(system: System, online: set[str], offline: set[str]) -> None:
    def is_right() -> bool:
        devices = {device["id"]: device["online"] for device in system.get("/devices?limit=200")["items"]}
        return {id_ for id_ in online | offline if devices[id_]} == online

    await eventually(lambda: asyncio.to_thread(is_right), "the API shows the same presence")


async def complete_history(client: Client, device_ids: Sequence[str]) -> PresenceHistory | None:
    """Return all presence events and readings of devices, or None while an offline event is missing."""
    online = await _events(client, DEVICE_ONLINE.subject, DeviceOnline)
    offline = await _events(client, DEVICE_OFFLINE.subject, DeviceOffline)
    if not {event.device_id for _, event in offline} >= set(device_ids):
        return None
    readings: dict[str, list[datetime]] = {}
    for message in await read_stream(client, streams.TELEMETRY, DEVICE_READINGS.pattern):
        readings.setdefault(message.subject.partition(".")[2], []).append(message.metadata.timestamp)
    events = [event for _, event in sorted([*online, *offline], key=lambda each: each[0])]
    return PresenceHistory(events, readings)


async def _events(client: Client, subject: str, model: type[C]) -> list[tuple[int, C]]:
    stored = await read_stream(client, streams.EVENTS, subject)
    return [(each.metadata.sequence.stream, model.model_validate_json(each.data)) for each in stored]
