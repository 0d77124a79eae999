"""The schedule of readings and of activations, on simulated time."""

import asyncio
import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from k1_contracts.devices import TelemetryBody, TelemetrySample
from k1_simulator.clock import DeviceClock
from k1_simulator.fault_box import FaultBox
from k1_simulator.machine import Machine
from k1_simulator.show import Show
from simulator.tests.shows import TRACK, fresh, held
from tests.support.simulated_time import SimulatedTime

CLOCK = DeviceClock(started_s=0.0, epoch_ms=5e6, skew_ppm=20.0)
Message = tuple[float, list[TelemetrySample]]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedTime:
    """The time of the show."""
    simulated = SimulatedTime()
    monkeypatch.setattr("k1_simulator.show.time", SimpleNamespace(monotonic=simulated.time))
    return simulated


def show_of(machine: Machine) -> Show:
    return Show(machine, CLOCK, FaultBox(), random.Random(1))


class Reported:
    """Whom a show tells its readings."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """When each came, and what was in it."""
        self.pauses_s: dict[int, float] = {}
        """How long the sending of a message takes, by its number."""

    async def take(self, body: bytes) -> None:
        read = TelemetryBody.model_validate_json(body).root
        readings = read if isinstance(read, list) else [read]
        self.messages.append((asyncio.get_running_loop().time(), readings))
        await asyncio.sleep(self.pauses_s.get(len(self.messages), 0))

    async def hear(self, show: Show, for_s: float, together: int = 1) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(show.report(self.take, together), for_s)

    @property
    def readings(self) -> list[TelemetrySample]:
        return [reading for _, readings in self.messages for reading in readings]

    def assert_numbered(self) -> None:
        """From 0 on, each number once."""
        assert [reading.seq for reading in self.readings] == list(range(len(self.readings)))


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize(("playing", "every_s"), [(False, 1.0), (True, 0.1)], ids=["idle", "playing"])
def test_readings_come_once_a_second_and_ten_times_while_a_show_plays(
    simulated: SimulatedTime, playing: bool, every_s: float
) -> None:
    """The first within a second of the start; numbered from 0; each told at the moment that it is for."""
    told = Reported()
    machine = fresh(active=held(1)) if playing else fresh()
    simulated.run(told.hear(show_of(machine), 60))
    times = [at_s for at_s, _ in told.messages]
    assert 0 <= times[0] < 1
    assert gaps(times) == pytest.approx([every_s] * (len(times) - 1), abs=1e-6)
    assert len(times) == pytest.approx((60 - times[0]) / every_s, abs=1)
    told.assert_numbered()
    assert [reading.ts for reading in told.readings] == pytest.approx(
        [CLOCK.show(at_s) for at_s in times], abs=0.001
    )
    assert {reading.track_id for reading in told.readings} == {TRACK if playing else None}


def test_readings_become_more_when_a_show_begins(simulated: SimulatedTime) -> None:
    """From the next one on, which names the track."""
    told, machine = Reported(), fresh(others=(held(1),))

    def begin() -> None:
        machine.memory = machine.memory.model_copy(update={"active": held(1), "others": ()})

    simulated.call_later(5, begin)
    simulated.run(told.hear(show_of(machine), 10))
    idle = [at_s for at_s, [reading] in told.messages if reading.track_id is None]
    playing = [at_s for at_s, [reading] in told.messages if reading.track_id == TRACK]
    assert len(idle) == 5
    assert gaps([*idle, playing[0]]) == pytest.approx([1] * 5, abs=1e-6)
    assert gaps(playing) == pytest.approx([0.1] * (len(playing) - 1), abs=1e-6)
    assert len(playing) > 40
    told.assert_numbered()


def test_readings_of_one_message_are_a_tenth_of_a_second_apart(simulated: SimulatedTime) -> None:
    """Five of them twice a second, the newest last and of the moment at which they are told."""
    told = Reported()
    simulated.run(told.hear(show_of(fresh(active=held(1))), 10, together=5))
    assert {len(readings) for _, readings in told.messages} == {5}
    assert gaps([at_s for at_s, _ in told.messages]) == pytest.approx(
        [0.5] * (len(told.messages) - 1), abs=1e-6
    )
    assert [readings[-1].ts for _, readings in told.messages] == pytest.approx(
        [CLOCK.show(at_s) for at_s, _ in told.messages], abs=0.001
    )
    assert gaps([reading.ts for reading in told.readings]) == pytest.approx(
        [100] * (len(told.readings) - 1), abs=0.01
    )
    told.assert_numbered()


def test_after_a_pause_readings_of_the_last_second_are_made_up_for(simulated: SimulatedTime) -> None:
    """Older ones are left out and leave no gap in the numbers; then all is as before."""
    told = Reported()
    told.pauses_s = {20: 5.0}
    simulated.run(told.hear(show_of(fresh(active=held(1))), 20))
    told.assert_numbered()
    steps = gaps([reading.ts for reading in told.readings])
    assert steps.pop(19) == pytest.approx(4000, abs=0.1)
    assert steps == pytest.approx([100] * len(steps), abs=0.01)
    late_ms = [CLOCK.show(at_s) - readings[0].ts for at_s, readings in told.messages]
    assert late_ms[20] == pytest.approx(1000, abs=0.1)
    assert late_ms[31:] == pytest.approx([0] * len(late_ms[31:]), abs=0.001)


def test_a_show_begins_at_its_moment(simulated: SimulatedTime) -> None:
    """When the device clock shows it, to a microsecond; at once where that is over; the newest moment counts."""
    begun: list[float] = []
    show = show_of(fresh(others=(held(1),)))

    async def armed(*moments_ms: float) -> list[Any]:
        begun.clear()
        for at_ms in moments_ms:
            show.arm(at_ms, lambda: begun.append(CLOCK.show(simulated.time())))
        await asyncio.sleep(60)
        return list(begun)

    async def all_of_them() -> None:
        at_ms = CLOCK.show(simulated.time()) + 12_345.678
        assert await armed(at_ms) == pytest.approx([at_ms], abs=0.001)
        now_ms = CLOCK.show(simulated.time())
        assert await armed(now_ms - 1000) == pytest.approx([now_ms], abs=0.001)
        now_ms = CLOCK.show(simulated.time())
        assert await armed(now_ms + 100, now_ms + 7000) == pytest.approx([now_ms + 7000], abs=0.001)
        show.arm(CLOCK.show(simulated.time()) + 100, lambda: begun.append(0.0))
        show.disarm()
        assert await armed() == []

    simulated.run(all_of_them())
