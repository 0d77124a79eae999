"""Keeps the bytes of a song on disk while it is probed, in a file without a name, which vanishes with the process."""

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from k1_ingest.errors import too_large

_PIECE_BYTES: Final = 64 * 1024


class Spool:
    """A temporary file that is written once and hashed while it is written; a context manager."""

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  closed by __exit__
        self._digest = sha256()
        self._limit = limit
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Append the chunk; raise UploadRejectedError `too_large` beyond the limit."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._file.write(chunk)
        self._digest.update(chunk)

    def view(self) -> mmap:
        """Return a view of the bytes written so far, at least one; a context manager."""
        return mmap(self._file.fileno(), self.size, access=ACCESS_READ)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes written so far."""
        for at in range(0, self.size, _PIECE_BYTES):
            yield os.pread(self._file.fileno(), min(_PIECE_BYTES, self.size - at), at)

    @property
    def sha256(self) -> str:
        """Return the hash of the bytes written so far, in hex."""
        return self._digest.hexdigest()

    @property
    def path(self) -> str:
        """Return a path under which a child process of the same user can open the file."""
        return f"/proc/{os.getpid()}/fd/{self._file.fileno()}"
