"""Defines the query for the drift of devices against the map of a song: by section and by beat."""

from typing import Final, Literal

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.genesis import SectionLabel
from k1_contracts.ids import TrackId
from k1_contracts.messages.telemetry_history import TelemetryWindow
from k1_contracts.tracks import Version

OFF_MS: Final = 20.0
"""A drift beyond it can be seen; it is also the amber level of the alarms."""


class GetDrift(TelemetryWindow):
    """The drift that was measured while devices played one version of a track; by default of all stored readings."""

    track_id: TrackId
    version: Version


class DriftFigures(Contract):
    """The drift of some readings."""

    readings: int
    mean_ms: float
    """Of the values with their sign."""
    mean_abs_ms: float
    max_abs_ms: float
    off_share: float
    """The share of readings with an absolute drift above 20 ms."""


class DriftCounts(Contract):
    """What became of the readings of the track in the window."""

    joined: int
    """The readings that count: of this version, at a known position inside the song."""
    other_version: int
    outside: int
    """Before the beginning or beyond the end of the song."""
    unplaced: int
    """Without a version or a position, because the device does not send them."""


class SectionDrift(Contract):
    """The drift in one section of the song; without figures where no reading fell into it."""

    index: int
    label: SectionLabel
    start_ms: float
    end_ms: float
    confidence: float
    """Of the section."""
    beats: int
    beat_confidence: float | None = None
    """The mean confidence of its beats, where the map has it."""
    devices: int
    devices_off: int
    """The devices with a mean absolute drift above 20 ms here."""
    plays: int
    figures: DriftFigures | None = None


class BeatDrift(Contract):
    """The drift from one beat to the next."""

    index: int
    time_ms: float
    section: int | None = None
    confidence: float | None = None
    figures: DriftFigures


class DriftSuggestion(Contract):
    """What to do about a part of the song in which devices lose the beat."""

    action: Literal["reanalysis", "beat_edit"]
    section: int | None = None
    """None for the whole song."""
    from_ms: float
    to_ms: float
    first_beat: int | None = None
    last_beat: int | None = None
    reason: str


class TrackDrift(Contract):
    """Where devices lose the beat of a song, over all plays and devices."""

    track_id: TrackId
    version: Version
    beats_from: Literal["analysis", "person"]
    starts_at: UtcTime
    ends_at: UtcTime
    counts: DriftCounts
    devices: int
    plays: int
    """Each activation of the song on a device is one."""
    figures: DriftFigures | None = None
    """Of all readings that count; None where there are none."""
    sections: list[SectionDrift]
    beats: list[BeatDrift] = Field(default_factory=list[BeatDrift])
    """The beats at which there are readings."""
    suggestions: list[DriftSuggestion] = Field(default_factory=list[DriftSuggestion])
    """The worst first."""


TRACK_DRIFT: Final = Query(
    "rpc.telemetry.drift.track",
    GetDrift,
    TrackDrift,
    summary="The drift of devices against the map of a version",
)
