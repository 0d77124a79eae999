"""Defines the queries for the stored telemetry of a device, or of all devices that played a track."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from k1_contracts.base import Contract, TimeParameter, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import TrackId
from k1_contracts.messages.deploy.device_link import DeviceId

TelemetryField = Literal["drift_ms", "cpu_pct", "temp_c", "fps", "heap_free", "rssi"]
TELEMETRY_FIELDS: Final[tuple[TelemetryField, ...]] = (
    "drift_ms", "cpu_pct", "temp_c", "fps", "heap_free", "rssi",
)  # fmt: skip
Resolution = Literal["raw", "1s", "5s", "1m"]
"""The table that was read: the readings themselves, or summaries of this many seconds or of a minute."""
MAX_LAST_S: Final = 31 * 24 * 3600
DEFAULT_LAST_S: Final = 900


class TelemetryWindow(Contract):
    """A window of time: the last seconds, or from one time to another."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    last: int | None = Field(default=None, ge=1, le=MAX_LAST_S)
    """The window as seconds before now; 900 where no window is given."""
    since: TimeParameter | None = Field(default=None, alias="from")
    """The beginning of the window."""
    until: TimeParameter | None = Field(default=None, alias="to")
    """The end of the window; now by default."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.last is not None and (self.since is not None or self.until is not None):
            raise ValueError("give either `last`, or `from` and `to`")
        if self.since is None and self.until is not None:
            raise ValueError("`to` needs `from`")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`from` must be before `to`")
        return self


class TelemetryRequest(TelemetryWindow):
    """What of the telemetry in a window, and how much of it."""

    step: Annotated[float, Field(ge=0.1, le=86_400)] | None = None
    """Seconds that one point covers. By default as many as the chart needs; then points between are left out by LTTB."""
    fields: list[TelemetryField] | None = Field(default=None, min_length=1, max_length=6)
    """All by default."""
    max_points: int = Field(default=1000, ge=10, le=2000)
    """The largest number of points of one field."""


class GetDeviceTelemetry(TelemetryRequest):
    device_id: DeviceId


class GetTrackTelemetry(TelemetryRequest):
    track_id: TrackId


class FieldSeries(Contract):
    """The points of one field: each list has one value for each point."""

    field: TelemetryField
    times_ms: list[float]
    """The beginnings of the points, milliseconds since 1970."""
    avg: list[float]
    min: list[float]
    max: list[float]
    p95: list[float] | None = None
    """95 % of the readings have at most this absolute drift; only of `drift_ms`, and not for single readings or for
    more rows than can be merged at once."""


class TelemetrySeries(Contract):
    """Stored telemetry for a chart."""

    device_id: DeviceId | None = None
    """Of the telemetry of a device."""
    track_id: TrackId | None = None
    """Of the telemetry of all devices that played a track."""
    starts_at: UtcTime
    ends_at: UtcTime
    resolution: Resolution
    step_s: float | None = None
    """Seconds that a point covers; None where each point is one reading."""
    readings: int
    """The readings in the window."""
    points: int
    """The points in the window, before any were left out."""
    series: list[FieldSeries]


DEVICE_TELEMETRY: Final = Query(
    "rpc.telemetry.history.device",
    GetDeviceTelemetry,
    TelemetrySeries,
    summary="The stored telemetry of a device",
)
TRACK_TELEMETRY: Final = Query(
    "rpc.telemetry.history.track",
    GetTrackTelemetry,
    TelemetrySeries,
    summary="The stored telemetry of the devices that played a track",
)
