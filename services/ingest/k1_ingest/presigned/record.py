"""What is known of a track whose song is sent with a presigned URL. Pure."""

import json
from datetime import timedelta
from typing import Final, Literal

from k1_contracts.actors import Actor
from k1_contracts.base import Contract, UtcTime
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.track_uploads import CreateTrack
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_ingest.open_uploads.store import OBJECTS

LIFETIME: Final = timedelta(hours=1)
"""How long a track waits for its song."""
COMPLETION_TIME: Final = timedelta(minutes=20)
"""Longer than a completion takes; for so long the sweep leaves the track alone."""
KEPT: Final = timedelta(days=1)
"""How long the result is remembered, so that a repeated `complete` gets the same response."""


class ExpectedSong(Contract):
    """A track without a song; each change is a new record."""

    track_id: TrackId
    details: CreateTrack
    expires_at: UtcTime
    actor: Actor | None = None
    state: Literal["open", "abandoned", "complete"] = "open"
    reason: Literal["expired", "duplicate"] = "expired"
    """Why it is abandoned."""
    accepted: UploadAccepted | None = None

    @property
    def key(self) -> str:
        """Return the key of the object to which the client sends the song."""
        return f"{OBJECTS}{self.track_id}/song"

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields of the form that this is equal to."""
        found = {
            "title": self.details.title,
            "artist": self.details.artist,
            "tags": json.dumps(self.details.tags),
            "preset": self.details.preset,
        }
        return [(name, text) for name, text in found.items() if text]
