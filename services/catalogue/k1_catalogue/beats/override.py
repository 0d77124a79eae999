"""The identity of a line of overrides, and what an override changes. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue.maps.beat_diff import diff_beats
from k1_contracts.base import Contract
from k1_contracts.messages.catalogue.beats import (
    BeatAuthor,
    BeatChanges,
    BeatMove,
    BeatOverrideInfo,
    RemoveBeatOverride,
    SaveBeatOverride,
)
from k1_contracts.messages.catalogue.graph_edits import SaveGraphVersion

MAX_LISTED: Final = 5000
"""Entries of each list of changes."""
_ETAG_DIGITS: Final = 32

EditQuery = SaveBeatOverride | RemoveBeatOverride | SaveGraphVersion
"""A request that makes a new version of a track."""


@dataclass(frozen=True, slots=True)
class BeatEdit:
    """A version that a person made: with other beats, with the automatic ones again, or with another graph.

    With another graph it has the author, the time and the figures of the beats that it keeps.
    """

    version: int
    base_version: int
    previous_version: int
    removed: bool
    """Whether its beats are those of the analysis."""
    author: BeatAuthor
    created_at: datetime
    changes: BeatChanges
    note: str | None = None
    f_measure: float | None = None
    cemgil: float | None = None
    """Both are None for a removal: the figures of the base version hold again."""
    idempotency_key: str | None = None
    request_sha256: str = ""

    @property
    def info(self) -> BeatOverrideInfo | None:
        """Return the override as clients see it; None for a removal."""
        if self.f_measure is None or self.cemgil is None:
            return None
        return BeatOverrideInfo(
            note=self.note,
            author=self.author,
            created_at=self.created_at,
            f_measure=self.f_measure,
            cemgil=self.cemgil,
            changes=self.changes,
        )


def line_etag(track_id: str, base_version: int, latest_version: int) -> str:
    """Return the entity tag of the line of a base version: another after each override."""
    text = f"{track_id} {base_version} {latest_version}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ETAG_DIGITS]


def request_hash(query: EditQuery) -> str:
    """Return a hash of what was asked for, to recognise an idempotency key that is used for something else."""
    body: Contract = query.model_copy(update={"idempotency_key": None, "if_match": None})
    return hashlib.sha256(f"{type(query).__name__} {body.model_dump_json()}".encode()).hexdigest()


def changes_between(before_ms: Sequence[float], after_ms: Sequence[float]) -> BeatChanges:
    """Return which beats moved, which are new and which are gone."""
    found = diff_beats(before_ms, after_ms)
    return BeatChanges(
        same=len(after_ms) - len(found.moved) - len(found.added),
        moved_count=len(found.moved),
        added_count=len(found.added),
        removed_count=len(found.removed),
        moved=[
            BeatMove(before=before, after=after, by_ms=round(by, 1))
            for before, after, by in found.moved[:MAX_LISTED]
        ],
        added=found.added[:MAX_LISTED],
        removed=found.removed[:MAX_LISTED],
    )
