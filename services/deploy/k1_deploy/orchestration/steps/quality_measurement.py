"""Measures the drift of the devices of a batch from their live readings, and logs a verdict for each.

Nothing is kept beside the log: a process that takes over counts the bars again from the start. Readings may be lost; a bar
without one does not count.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import ActivateOnDownbeat
from k1_contracts.messages.telemetry import LIVE_READING, LiveSample
from k1_deploy.orchestration.events.event_log import EventLog, WriteConflictError
from k1_deploy.orchestration.steps.activation import Downbeats
from k1_deploy.saga.entries import QualityMeasured
from k1_deploy.saga.quality import DriftMeter, QualityVerdict, bar_length, time_limit
from k1_deploy.saga.steps import MeasureQuality

_NO_BARS: Final = "the map of the song has fewer than two downbeats, so bars cannot be counted"


@dataclass(frozen=True, slots=True)
class QualityMeasurement:
    """Measures the first batch of one deployment."""

    event_log: EventLog
    client: Client
    downbeats: Downbeats
    clock: Callable[[], datetime]

    async def run(self, step: MeasureQuality) -> None:
        """Return when every device of the step has a verdict in the log."""
        state = self.event_log.state
        quality, bundle = state.strategy.quality, state.bundle
        assert quality is not None
        assert bundle is not None
        song = ActivateOnDownbeat(track_id=bundle.track_id, version=bundle.version, started_at=self.clock())
        bar = bar_length(await self.downbeats(song))
        if bar is None:
            missing = QualityVerdict(passed=False, bars=0, max_drift_ms=None, reason=_NO_BARS)
            await self._write(dict.fromkeys(step.device_ids, missing))
            return
        meters = {each: DriftMeter(quality, bar) for each in step.device_ids}
        await self._measure(meters, bundle, time_limit(quality, bar).total_seconds())

    async def _measure(self, meters: dict[str, DriftMeter], bundle: BundleRef, limit_s: float) -> None:
        """Write each verdict as soon as it is there; those that are missing at the end are failures."""
        readings: asyncio.Queue[LiveSample] = asyncio.Queue()

        async def receive(message: Msg) -> None:
            try:
                sample = LiveSample.model_validate_json(message.data)
            except ValidationError:
                return
            if sample.track_id == bundle.track_id:
                readings.put_nowait(sample)

        async with AsyncExitStack() as subscribed:
            for device_id in meters:
                subscription = await self.client.subscribe(LIVE_READING.subject_for(device_id), cb=receive)
                subscribed.push_async_callback(subscription.unsubscribe)
            try:
                async with asyncio.timeout(limit_s):
                    while meters:
                        await self._take(meters, await readings.get())
            except TimeoutError:
                await self._write({device_id: meter.time_out() for device_id, meter in meters.items()})

    async def _take(self, meters: dict[str, DriftMeter], sample: LiveSample) -> None:
        meter = meters.get(sample.device_id)
        verdict = meter.add(sample.timestamp, sample.drift_ms) if meter else None
        if verdict is not None:
            del meters[sample.device_id]
            await self._write({sample.device_id: verdict})

    async def _write(self, verdicts: Mapping[str, QualityVerdict]) -> None:
        """Write verdicts; a conflict (the device failed meanwhile) does not stop the others."""
        for device_id, verdict in verdicts.items():
            entry = QualityMeasured(
                at=self.clock(),
                device_id=device_id,
                passed=verdict.passed,
                bars=verdict.bars,
                max_drift_ms=verdict.max_drift_ms,
                reason=verdict.reason,
            )
            try:
                await self.event_log.write(entry)
            except WriteConflictError:
                continue
