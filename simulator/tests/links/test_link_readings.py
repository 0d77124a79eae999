"""Tests the readings that a device sends while it plays."""

from itertools import pairwise
from typing import Any

import pytest
from nats.aio.client import Client

from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.telemetry import DEVICE_READINGS, TelemetryBody, TelemetrySample
from k1_simulator.fleet_context import BehaviourConfig
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet
from simulator.tests.link_support import both, listen, name
from simulator.tests.shows import bundle
from tests.support.waiting import eventually


def assert_consecutive(readings: list[TelemetrySample]) -> None:
    """Assert that the numbers rise by one; readings before the first connection are lost."""
    assert [reading.seq - readings[0].seq for reading in readings] == list(range(len(readings)))


@both
async def test_readings_come_while_a_show_plays(  # noqa: PLR0917
    transport: Transport,
    make_fleet: MakeFleet,
    commander: Commander,
    store: Any,
    nats_client: Client,
    unique: str,
) -> None:
    """A device sends at most one reading a second before the show and ten during it.

    Each number comes once and in order, the track is named, and the times are on the device's clock.
    """
    device = name(unique)
    bodies = await listen(nats_client, DEVICE_READINGS.subject_for(device))

    def readings() -> list[TelemetrySample]:
        return [
            one
            for one in (TelemetryBody.model_validate_json(body).root for body in bodies)
            if not isinstance(one, list)
        ]

    async with make_fleet([device], transport, behaviour=BehaviourConfig()):
        await eventually(lambda: len(readings()) >= 3, "idle readings")
        idle = readings()
        before_ms, *_ = await commander.device_time(device)
        await commander.call(device, "stage", "s", **await store(1))
        await commander.call(device, "activate", "a", bundle_sha256=bundle(1).sha256)
        await eventually(lambda: len([r for r in readings() if r.track_id]) >= 20, "readings of a show")
        seen = readings()
        now_ms, *_ = await commander.device_time(device)
    assert_consecutive(readings())
    assert all(b.ts - a.ts > 999.9 for a, b in pairwise(idle))
    playing = [reading for reading in seen if reading.track_id]
    assert {reading.track_id for reading in playing} == {bundle(1).manifest.track_id}
    assert all(b.ts - a.ts > 99.9 for a, b in pairwise(playing))
    # The first may be for a moment of before, the second for at most a second before it was taken.
    assert before_ms < playing[19].ts <= seen[-1].ts < now_ms


async def test_readings_may_share_a_message(make_fleet: MakeFleet, nats_client: Client, unique: str) -> None:
    """Five readings are a tenth of a second apart, the newest last."""
    device = name(unique)
    bodies = await listen(nats_client, DEVICE_READINGS.subject_for(device))
    async with make_fleet([device], factory=True, behaviour=BehaviourConfig(readings_a_message=5)):
        await eventually(lambda: len(bodies) >= 3, "messages")
    packs = [TelemetryBody.model_validate_json(body).root for body in bodies]
    assert all(isinstance(pack, list) and len(pack) == 5 for pack in packs)
    flat = [reading for pack in packs if isinstance(pack, list) for reading in pack]
    assert_consecutive(flat)
    for pack in packs:
        assert isinstance(pack, list)
        assert [reading.ts - pack[0].ts for reading in pack] == pytest.approx(
            [0, 100, 200, 300, 400], abs=0.1
        )
    assert all(b.ts - a.ts > 99.9 for a, b in pairwise(flat))
