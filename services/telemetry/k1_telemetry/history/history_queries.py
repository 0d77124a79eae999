"""Responds to queries for the stored telemetry of a device or a track."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from k1_contracts.messages.telemetry_history import (
    DEFAULT_LAST_S,
    TELEMETRY_FIELDS,
    GetDeviceTelemetry,
    GetTrackTelemetry,
    TelemetryRequest,
    TelemetrySeries,
    TelemetryWindow,
)
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.threads import in_thread
from k1_telemetry.history.history_store import HistoryStore, Owner
from k1_telemetry.history.resolution import WindowError, choose
from k1_telemetry.history.series import make_series


@dataclass(frozen=True, slots=True)
class HistoryQueries:
    """Whether the device or the track exists is the concern of the caller; of an unknown one nothing is stored."""

    store: HistoryStore
    clock: Callable[[], datetime]

    async def get_device(self, query: GetDeviceTelemetry) -> TelemetrySeries:
        """Return the telemetry of a device."""
        found = await self._read("device_id", query.device_id, query)
        return found.model_copy(update={"device_id": query.device_id})

    async def get_track(self, query: GetTrackTelemetry) -> TelemetrySeries:
        """Return the telemetry of all devices while they played a track."""
        found = await self._read("track_id", query.track_id, query)
        return found.model_copy(update={"track_id": query.track_id})

    async def _read(self, owner: Owner, id_: str, query: TelemetryRequest) -> TelemetrySeries:
        since, until = window_of(query, self.clock(), timedelta(seconds=DEFAULT_LAST_S))
        minutes = await self.store.count_minutes(owner, id_, since, until)
        try:
            plan = choose(since, until, step_s=query.step, minutes=minutes, max_points=query.max_points)
        except WindowError as error:
            raise QueryError("invalid_parameter", f"Correct this and send again: {error}.", 422) from error
        fields = list(dict.fromkeys(query.fields or TELEMETRY_FIELDS))
        rows = await self.store.read(owner, id_, plan, fields)
        return TelemetrySeries(
            starts_at=since,
            ends_at=until,
            resolution=plan.resolution,
            step_s=None if plan.step is None else plan.step.total_seconds(),
            readings=sum(row["count"] for row in rows),
            points=len(rows),
            series=await in_thread(make_series, rows, fields, query.max_points),
        )


def window_of(query: TelemetryWindow, now: datetime, default: timedelta) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the window of a query.

    Raises:
        QueryError: `invalid_parameter` where it begins in the future.
    """
    if query.since is None:
        return now - (default if query.last is None else timedelta(seconds=query.last)), now
    if query.since >= now:
        raise QueryError("invalid_parameter", "Correct this and send again: `from` lies in the future.", 422)
    return query.since, query.until or now
