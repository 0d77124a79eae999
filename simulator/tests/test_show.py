"""Tests the schedule of readings and of activations on simulated time."""

import asyncio
import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from k1_contracts.messages.telemetry import TelemetryBody, TelemetrySample
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.playback.clock import DeviceClock
from k1_simulator.playback.show import Show
from k1_simulator.state_machine.machine import Machine
from simulator.tests.shows import TRACK, fresh, held
from tests.support.simulated_time import SimulatedTime

SONG_MS = 3000.05
CLOCK = DeviceClock(started_s=0.0, epoch_ms=5e6, skew_ppm=20.0)
Message = tuple[float, list[TelemetrySample]]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedTime:
    """Replace the clock of the show."""
    simulated = SimulatedTime()
    monkeypatch.setattr("k1_simulator.playback.show.time", SimpleNamespace(monotonic=simulated.time))
    return simulated


def show_of(machine: Machine) -> Show:
    return Show(machine, CLOCK, FaultInjector(), random.Random(1))


class ReadingRecorder:
    """Records the readings that a show sends."""

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

    async def record(self, show: Show, for_s: float, together: int = 1) -> None:
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
    """The first comes within a second of the start; numbers start at 0; each is sent at its own time."""
    recorder = ReadingRecorder()
    machine = fresh(active=held(1)) if playing else fresh()
    simulated.run(recorder.record(show_of(machine), 60))
    times = [at_s for at_s, _ in recorder.messages]
    assert 0 <= times[0] < 1
    assert gaps(times) == pytest.approx([every_s] * (len(times) - 1), abs=1e-6)
    assert len(times) == pytest.approx((60 - times[0]) / every_s, abs=1)
    recorder.assert_numbered()
    assert [reading.ts for reading in recorder.readings] == pytest.approx(
        [CLOCK.show(at_s) for at_s in times], abs=0.001
    )
    assert {reading.track_id for reading in recorder.readings} == {TRACK if playing else None}


def test_readings_come_faster_when_a_show_starts(simulated: SimulatedTime) -> None:
    """The rate rises with the next reading, which names the track, the version and the position until the song ends."""
    recorder, machine = ReadingRecorder(), fresh(others=(held(1),))
    song = held(1).model_copy(update={"duration_ms": SONG_MS})

    def begin() -> None:
        begun = {"active": song, "others": (), "active_since_ms": CLOCK.show(simulated.time())}
        machine.memory = machine.memory.model_copy(update=begun)

    simulated.call_later(5, begin)
    simulated.run(recorder.record(show_of(machine), 10))
    since_ms = machine.memory.active_since_ms or 0
    assert {reading.version for reading in recorder.readings} == {None, 1}
    times_ms = [reading.ts - since_ms for reading in recorder.readings if reading.version]
    assert times_ms[-1] > SONG_MS
    assert [reading.position_ms for reading in recorder.readings if reading.version] == [
        pytest.approx(time_ms, abs=0.1) if time_ms < SONG_MS else None for time_ms in times_ms
    ]
    idle = [at_s for at_s, [reading] in recorder.messages if reading.track_id is None]
    playing = [at_s for at_s, [reading] in recorder.messages if reading.track_id == TRACK]
    assert len(idle) == 5
    assert gaps([*idle, playing[0]]) == pytest.approx([1] * 5, abs=1e-6)
    assert gaps(playing) == pytest.approx([0.1] * (len(playing) - 1), abs=1e-6)
    assert len(playing) > 40
    recorder.assert_numbered()


def test_readings_of_one_message_are_a_tenth_of_a_second_apart(simulated: SimulatedTime) -> None:
    """Five come twice a second, the newest last and with the time of sending."""
    recorder = ReadingRecorder()
    simulated.run(recorder.record(show_of(fresh(active=held(1))), 10, together=5))
    assert {len(readings) for _, readings in recorder.messages} == {5}
    assert gaps([at_s for at_s, _ in recorder.messages]) == pytest.approx(
        [0.5] * (len(recorder.messages) - 1), abs=1e-6
    )
    assert [readings[-1].ts for _, readings in recorder.messages] == pytest.approx(
        [CLOCK.show(at_s) for at_s, _ in recorder.messages], abs=0.001
    )
    assert gaps([reading.ts for reading in recorder.readings]) == pytest.approx(
        [100] * (len(recorder.readings) - 1), abs=0.01
    )
    recorder.assert_numbered()


def test_after_a_pause_readings_of_the_last_second_are_sent(simulated: SimulatedTime) -> None:
    """Older ones are skipped and leave no gap in the numbers; then the rate is as before."""
    recorder = ReadingRecorder()
    recorder.pauses_s = {20: 5.0}
    simulated.run(recorder.record(show_of(fresh(active=held(1))), 20))
    recorder.assert_numbered()
    steps = gaps([reading.ts for reading in recorder.readings])
    assert steps.pop(19) == pytest.approx(4000, abs=0.1)
    assert steps == pytest.approx([100] * len(steps), abs=0.01)
    late_ms = [CLOCK.show(at_s) - readings[0].ts for at_s, readings in recorder.messages]
    assert late_ms[20] == pytest.approx(1000, abs=0.1)
    assert late_ms[31:] == pytest.approx([0] * len(late_ms[31:]), abs=0.001)


def test_a_show_starts_at_its_activation_time(simulated: SimulatedTime) -> None:
    """It starts when the device clock shows the time, to a microsecond, or at once if it has passed; the newest time counts."""
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
