"""Describes a song that is to be uploaded."""

from dataclasses import dataclass
from pathlib import Path

from k1_contracts.upload_form import write_fields


@dataclass(frozen=True)
class SongUpload:
    """A song to upload: the file and its form fields."""

    file: Path
    title: str | None = None
    """None: as the file's own tags say, else its name."""
    artist: str | None = None
    tags: tuple[str, ...] = ()
    preset: str | None = None
    priority: int | None = None

    def fields(self) -> dict[str, str]:
        """Return the form fields, without the file."""
        return write_fields(
            title=self.title,
            artist=self.artist,
            tags=self.tags,
            preset=self.preset,
            priority=self.priority,
        )
