"""Simulates the sensor readings of a device; plausible numbers from a seed, pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_contracts.messages.telemetry import TelemetrySample
from k1_simulator.faults.models import DriftRamp, DriftSpot, LowFps, Overheat, TelemetryFault

_DRIFT_RETURN = 0.1
"""The share of the drift that the player corrects between two readings."""
_DRIFT_STEP_MS = 1.2
_IDLE_C, _PLAYING_C = 38.0, 52.0
_HOT_C = 80.0
_WARMING = 0.02
"""The share of the temperature difference that the board covers between two readings."""
_table = random.Random(1)  # noqa: S311  no secret
_NORMAL = tuple(_table.gauss(0.0, 1.0) for _ in range(4096))


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A telemetry fault that is active since a time (ms, device clock)."""

    fault: TelemetryFault
    since_ms: float

    def seconds(self, now_ms: float) -> float:
        """Return for how long the fault has shown; 0 before that."""
        return max(0.0, (now_ms - self.since_ms) / 1000.0 - self.fault.after_s)


class Sensors:
    """The sensors of one device, from its start to its end."""

    def __init__(self, rng: random.Random) -> None:
        self._noise = _noise(rng)
        self._seq = -1
        self._drift_ms = rng.gauss(0.0, 2.0)
        self._temp_c = rng.uniform(30.0, _IDLE_C)
        self._rssi = rng.uniform(-72.0, -45.0)
        self._fps = rng.choice((60.0, 60.0, 50.0))

    def read(
        self,
        now_ms: float,
        active: RunningBundle | None,
        position_ms: float | None = None,
        wrong: Sequence[ActiveFault] = (),
    ) -> TelemetrySample:
        """Return the next reading of a device that runs this bundle, and is at this position of its song if it knows."""
        noise = self._noise
        self._seq += 1
        self._drift_ms += _DRIFT_STEP_MS * next(noise) - _DRIFT_RETURN * self._drift_ms
        playing = active is not None
        goal = _PLAYING_C if playing else _IDLE_C
        self._temp_c += _WARMING * (goal - self._temp_c) + 0.05 * next(noise)
        self._rssi = min(-30.0, max(-90.0, self._rssi + 0.5 * next(noise)))
        temp_c = min(150.0, self._temp_c + _heat(wrong, now_ms, self._temp_c))
        return TelemetrySample(
            ts=round(now_ms, 3),
            seq=self._seq,
            track_id=active.track_id if active else None,
            version=active.version if active else None,
            position_ms=None if position_ms is None else round(position_ms, 1),
            drift_ms=round(self._drift_ms + _drift(wrong, now_ms) + _spot(wrong, now_ms, position_ms), 3),
            cpu_pct=round(min(100.0, max(0.0, (46.0 if playing else 9.0) + 3.0 * next(noise))), 1),
            temp_c=round(temp_c, 2),
            fps=round(max(0.0, _frames(wrong, now_ms, self._fps) + 0.3 * next(noise)), 2),
            heap_free=int(182_000 + 3_000 * next(noise)),
            rssi=round(self._rssi),
            error="overheated" if temp_c > _HOT_C else None,
        )


def _noise(rng: random.Random) -> Iterator[float]:
    """Yield normal numbers without end, from a table: a thousand devices need sixty thousand a second."""
    index, stride = rng.randrange(len(_NORMAL)), 2 * rng.randrange(len(_NORMAL) // 2) + 1
    while True:
        index = (index + stride) % len(_NORMAL)
        yield _NORMAL[index]


def _drift(wrong: Sequence[ActiveFault], now_ms: float) -> float:
    ramps = [(one.fault, one.seconds(now_ms)) for one in wrong]
    return sum(
        max(-ramp.limit_ms, min(ramp.limit_ms, ramp.ms_per_s * seconds))
        for ramp, seconds in ramps
        if isinstance(ramp, DriftRamp)
    )


def _spot(wrong: Sequence[ActiveFault], now_ms: float, position_ms: float | None) -> float:
    spots = [one.fault for one in wrong if isinstance(one.fault, DriftSpot) and one.seconds(now_ms) > 0]
    return sum(
        spot.drift_ms
        for spot in spots
        if position_ms is not None and spot.from_ms <= position_ms < spot.to_ms
    )


def _heat(wrong: Sequence[ActiveFault], now_ms: float, temp_c: float) -> float:
    heats = [(one.fault, one.seconds(now_ms)) for one in wrong]
    return max(
        (
            min(heat.limit_c - temp_c, heat.degrees_per_s * seconds)
            for heat, seconds in heats
            if isinstance(heat, Overheat)
        ),
        default=0.0,
    )


def _frames(wrong: Sequence[ActiveFault], now_ms: float, fps: float) -> float:
    low = [one.fault.fps for one in wrong if isinstance(one.fault, LowFps) and one.seconds(now_ms) > 0]
    return min([fps, *low])
