"""Defines the event and the queries about beats that a person sets: the beat override of an analysis.

An override makes a new version of map, show and bundle. `base_version` is the version that the automatic analysis made;
all versions that overrides of it made, and the one made by removing an override, form its line. The entity tag belongs
to the line, so of two people who edit the same analysis only one can save without seeing the other's beats.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from k1_contracts.actors import ActorKind
from k1_contracts.base import NO_NUL, Contract, UtcTime
from k1_contracts.beats.rules import MAX_BEATS
from k1_contracts.descriptors import Event, Query
from k1_contracts.graph import GraphDocument
from k1_contracts.ids import Sha256, TrackId
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import AnalysisSummary, Notice, StoredFile, Version

_DAY_MS: Final = 86_400_000.0
BeatIndex = Annotated[int, Field(ge=0, le=MAX_BEATS)]
TimeMs = Annotated[float, Field(ge=-_DAY_MS, le=_DAY_MS, allow_inf_nan=False)]
"""Milliseconds from the first sample; no song is a day long."""
TimeS = Annotated[float, Field(ge=-_DAY_MS / 1000, le=_DAY_MS / 1000, allow_inf_nan=False)]
BeatsMs = Annotated[list[TimeMs], Field(max_length=MAX_BEATS)]
BeatsS = Annotated[list[TimeS], Field(max_length=MAX_BEATS)]
Downbeats = Annotated[list[BeatIndex], Field(max_length=MAX_BEATS)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=NO_NUL)]
BeatOperation = Literal["half", "double", "shift", "nudge", "regrid", "set_downbeat", "set_meter"]


class BeatMove(Contract):
    """One beat that moved."""

    before: int = Field(ge=0)
    """Its index before."""
    after: int = Field(ge=0)
    """Its index now."""
    by_ms: float


class BeatChanges(Contract):
    """Which beats moved (by at most 70 ms), which are new and which are gone; the others are the same.

    The counts are complete. The lists end after 5,000 entries.
    """

    same: int = Field(ge=0)
    moved_count: int = Field(ge=0)
    added_count: int = Field(ge=0)
    removed_count: int = Field(ge=0)
    moved: list[BeatMove]
    added: list[int]
    """Indices in the new beats."""
    removed: list[int]
    """Indices in the beats before."""


class BeatAuthor(Contract):
    """Who set the beats, or edited the graph."""

    kind: ActorKind
    id: str
    name: str


class BeatOverrideSummary(Contract):
    """Who set the beats, why, and how well the automatic ones had been found."""

    note: str | None = None
    author: BeatAuthor
    created_at: UtcTime
    f_measure: float = Field(ge=0, le=1)
    """Of the automatic beats against the person's: mir_eval's rules, 70 ms, the first five seconds left out."""
    cemgil: float = Field(ge=0, le=1)
    """The same by Cemgil's score, with a Gaussian of 40 ms."""


class BeatOverrideInfo(BeatOverrideSummary):
    """An override without its beats."""

    changes: BeatChanges
    """Against the automatic beats."""


class CurrentBeatOverride(BeatOverrideSummary):
    """The override of the version in use."""

    version: Version
    base_version: Version


class BeatOverrideDocument(BeatOverrideInfo):
    """graph.analysis.beat_override.json: the beats that a person set."""

    track_id: TrackId
    version: Version
    """The version that was made with these beats."""
    base_version: Version
    """The version whose analysis they correct."""
    previous_version: Version
    """The version that was edited."""
    beats_ms: list[float]
    downbeats: list[int]


class GetBeatOverride(Contract):
    track_id: TrackId
    version: Version


class BeatOverrideView(Contract):
    """The beats of a version, and the override that they come from, if a person set them."""

    track_id: TrackId
    version: Version
    base_version: Version
    latest_version: Version
    """The newest version of the line: the one to edit."""
    etag: str
    """Changes with every override of this analysis; for `If-Match`."""
    duration_ms: float
    bpm: float
    time_signature: str
    beats_ms: list[float]
    downbeats: list[int]
    """Indices of the beats that begin a bar."""
    override: BeatOverrideInfo | None = None
    """Absent where the beats are those of the automatic analysis."""


class SaveBeatOverride(Contract):
    track_id: TrackId
    version: Version
    beats: BeatsS | None = None
    """In seconds; either these or `beats_ms`."""
    beats_ms: BeatsMs | None = None
    downbeats: Downbeats | None = None
    """Indices of the beats that begin a bar, the first beat is 0. Without it, the beats within 70 ms of the version's
    downbeats; if there are none, bars of the version's length from the first beat on."""
    note: Note | None = None
    if_match: list[str] | None = None
    """Tags of which the line must have one; None writes over whatever is there."""
    idempotency_key: str | None = None

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.beats is None) == (self.beats_ms is None):
            raise ValueError("give either beats (seconds) or beats_ms")
        return self

    @property
    def given_ms(self) -> list[float]:
        """Return the given beats in ms."""
        return self.beats_ms if self.beats_ms is not None else [1000 * time for time in self.beats or ()]


class RemoveBeatOverride(Contract):
    track_id: TrackId
    version: Version
    if_match: list[str] | None = None
    idempotency_key: str | None = None


class BeatOverrideSaved(Contract):
    """The new version, which is ready."""

    track_id: TrackId
    version: Version
    base_version: Version
    previous_version: Version
    removed: bool = False
    """True where the automatic beats are back."""
    etag: str
    status: Literal["ready", "warning"]
    bpm: float
    beat_count: int
    downbeat_count: int
    f_measure: float = Field(ge=0, le=1)
    f_measure_reference: str
    cemgil: float | None = None
    changes: BeatChanges
    """Against the automatic beats."""
    warnings: list[Notice] = Field(default_factory=list[Notice])


class BeatAnchor(Contract):
    index: BeatIndex
    time_ms: TimeMs


class BeatShift(Contract):
    index: BeatIndex
    by_ms: TimeMs


_PARAMETERS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "half": (frozenset(), frozenset({"phase", "from_index", "to_index", "locked"})),
    "double": (frozenset(), frozenset({"from_index", "to_index"})),
    "shift": (frozenset({"shift_ms"}), frozenset({"from_index", "to_index", "locked"})),
    "nudge": (frozenset({"moves"}), frozenset({"locked"})),
    "regrid": (frozenset({"anchors"}), frozenset({"tempo", "locked"})),
    "set_downbeat": (frozenset({"index"}), frozenset({"beats_per_bar", "from_index", "to_index"})),
    "set_meter": (frozenset({"beats_per_bar"}), frozenset({"from_index", "to_index"})),
}
"""The required and the optional parameters of each operation."""
_SHARED: Final = frozenset({"track_id", "version", "operation", "beats", "beats_ms", "downbeats"})


class PreviewBeats(Contract):
    """An operation on the version's beats, or on those given: an editor's that are not saved yet."""

    track_id: TrackId
    version: Version
    operation: BeatOperation
    beats: BeatsS | None = None
    beats_ms: BeatsMs | None = None
    downbeats: Downbeats | None = None
    """Of the given beats; as in an override without it."""
    phase: Literal[0, 1] | None = None
    """half: keep the first beat of the range (0, the default) or the second (1)."""
    shift_ms: TimeMs | None = None
    """shift: milliseconds, negative for earlier."""
    moves: Annotated[list[BeatShift], Field(min_length=1, max_length=MAX_BEATS)] | None = None
    """nudge: by how much each beat moves."""
    anchors: Annotated[list[BeatAnchor], Field(min_length=2, max_length=MAX_BEATS)] | None = None
    """regrid: beats in their right places, rising. Beats before the first do not move."""
    tempo: Literal["piecewise", "constant"] | None = None
    """regrid: a tempo for each two anchors (the default), or one from the first anchor on."""
    index: BeatIndex | None = None
    """set_downbeat: the beat that begins a bar."""
    beats_per_bar: Annotated[int, Field(ge=1, le=32)] | None = None
    """set_meter, set_downbeat: by default the length of the bar at this place."""
    from_index: BeatIndex | None = None
    """First beat that may change. By default the first of all; for set_downbeat the beat itself."""
    to_index: BeatIndex | None = None
    """Last beat that may change; by default the last of all."""
    locked: Annotated[list[BeatIndex], Field(max_length=MAX_BEATS)] | None = None
    """Beats that never move and are never removed."""

    @model_validator(mode="after")
    def _parameters(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None} - _SHARED
        required, optional = _PARAMETERS[self.operation]
        if missing := sorted(required - given):
            raise ValueError(f"{self.operation} needs {', '.join(missing)}")
        if unknown := sorted(given - required - optional):
            takes = ", ".join(sorted(required | optional))
            raise ValueError(f"{self.operation} does not take {', '.join(unknown)}; it takes {takes}")
        if self.beats is not None and self.beats_ms is not None:
            raise ValueError("give either beats (seconds) or beats_ms")
        return self

    @property
    def given_ms(self) -> list[float] | None:
        """Return the given beats in ms; None where the version's are meant."""
        return self.beats_ms if self.beats is None else [1000 * time for time in self.beats]


class BeatsPreviewed(Contract):
    """The beats that an operation gives; nothing is saved."""

    beats_ms: list[float]
    downbeats: list[int]
    bpm: float
    """The median over eight beats at a time."""
    beats_per_bar: int
    changes: BeatChanges
    """Against the beats before the operation."""


class ApplyBeats(Contract):
    """From the catalogue to a worker: make the map with these beats from a stored map, and run a graph over it."""

    genesis_key: str
    genesis_sha256: Sha256
    beats_ms: list[float]
    downbeats: list[int]
    graph: GraphDocument | None = None
    """None where the version has no show."""


class BeatsApplied(Contract):
    summary: AnalysisSummary
    cemgil: float = Field(ge=0, le=1)
    files: list[StoredFile]
    """The map and its metrics, and the files of the run if it succeeded."""
    warnings: list[Notice] = Field(default_factory=list[Notice])
    """Those of the map."""
    show_failed: Notice | None = None
    """Why the graph could not be run; the map can be used without a show."""


class BeatsOverridden(Contract):
    """A person set the beats of an analysis, or removed the override: there is a new version, and it is ready."""

    track_id: TrackId
    version: Version
    base_version: Version
    previous_version: Version
    removed: bool = False
    etag: str
    bpm: float
    beat_count: int
    f_measure: float = Field(ge=0, le=1)
    f_measure_reference: str
    cemgil: float | None = None
    moved: int
    added: int
    deleted: int
    """Numbers of beats that differ from the automatic ones."""
    note: str | None = None
    author: BeatAuthor
    at: UtcTime


BEATS_OVERRIDDEN: Final = Event(
    "beats.overridden",
    BeatsOverridden,
    summary="A person set the beats of an analysis; the new version is ready",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
    key=lambda event: f"{event.track_id}:{event.version}",
)
BEAT_OVERRIDE_GET: Final = Query(
    "rpc.catalogue.beats.get",
    GetBeatOverride,
    BeatOverrideView,
    summary="The beats of a version and their override",
)
BEAT_OVERRIDE_SAVE: Final = Query(
    "rpc.catalogue.beats.override",
    SaveBeatOverride,
    BeatOverrideSaved,
    summary="Set the beats of an analysis, as a new version",
    role="editor",
)
BEAT_OVERRIDE_REMOVE: Final = Query(
    "rpc.catalogue.beats.remove",
    RemoveBeatOverride,
    BeatOverrideSaved,
    summary="Go back to the automatic beats, as a new version",
    role="editor",
)
BEATS_PREVIEW: Final = Query(
    "rpc.catalogue.beats.preview",
    PreviewBeats,
    BeatsPreviewed,
    summary="The beats that an operation would give",
)
BEATS_APPLY: Final = Query(
    "rpc.analysis.beats.apply",
    ApplyBeats,
    BeatsApplied,
    summary="Make the map with other beats from a stored map, and run a graph over it",
    senders=("catalogue",),
    role="editor",
)
