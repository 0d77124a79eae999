"""What is known of a resumable upload: its length, the parts that have arrived, and what became of it. Pure."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from k1_contracts.actors import Actor
from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.catalogue.tracks import UploadAccepted

LIFETIME: Final = timedelta(days=1)
"""How long an upload stays after the last bytes arrived."""
PART_BYTES: Final = 4 * 1024 * 1024
"""The largest part. As much of each running request is in memory."""
MANY_PARTS: Final = 64
"""From here on small parts are joined, so that a client that sends single bytes makes no endless record."""


class Part(Contract):
    """A piece of the file, in an object of its own."""

    key: str
    size: int = Field(gt=0)


class Failure(Contract):
    """Why the complete file was rejected."""

    code: str
    status: int
    message: str


class ResumableUpload(Contract):
    """The state of an upload; each change is a new record."""

    length: int | None = None
    """None while the client has not told it."""
    metadata: str
    """Upload-Metadata as it was sent."""
    filename: str
    fields: list[tuple[str, str]]
    parts: list[Part] = Field(default_factory=list[Part])
    offset: int = 0
    """How many bytes have arrived. They stay counted when the parts are removed."""
    expires_at: UtcTime
    actor: Actor | None = None
    accepted: UploadAccepted | None = None
    failure: Failure | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether every byte has arrived."""
        return self.offset == self.length

    def with_part(self, part: Part, replaced: Part | None, now: datetime) -> "ResumableUpload":
        """Return the upload with one more part, which holds the bytes of `replaced`, the last part, too."""
        kept = self.parts[:-1] if replaced else self.parts
        grown = part.size - (replaced.size if replaced else 0)
        return self._with(parts=[*kept, part], offset=self.offset + grown, expires_at=now + LIFETIME)

    def with_length(self, length: int) -> "ResumableUpload":
        """Return the upload with the length that the client told later."""
        return self._with(length=length)

    def ended(self, outcome: UploadAccepted | Failure) -> "ResumableUpload":
        """Return the upload with what became of it, and without its parts."""
        field = "failure" if isinstance(outcome, Failure) else "accepted"
        return self._with(parts=[], **{field: outcome})

    def joinable(self) -> Part | None:
        """Return the last part when the next bytes should be joined to it."""
        last = self.parts[-1] if len(self.parts) >= MANY_PARTS else None
        return last if last is not None and last.size <= PART_BYTES // 2 else None

    def _with(self, **changes: object) -> "ResumableUpload":
        return self.model_copy(update=changes)
