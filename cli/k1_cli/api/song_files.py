"""Describes a song that is to be uploaded, and counts its bytes while they are read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from k1_contracts.upload_form import write_fields

OnBytes = Callable[[int], None]


class CountedFile:
    """A file that calls `on_bytes` with the size of each chunk that is read."""

    def __init__(self, file: BinaryIO, on_bytes: OnBytes) -> None:
        self._file = file
        self._on_bytes = on_bytes

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        chunk = self._file.read(size)
        self._on_bytes(len(chunk))
        return chunk

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, and return the new position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def fileno(self) -> int:
        """Return the file's descriptor, from which its size is read."""
        return self._file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(64 * 1024), b"")


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
