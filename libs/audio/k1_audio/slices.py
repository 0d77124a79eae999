"""A range of a file that reads like a file of its own."""

import io
from pathlib import Path


class FileSlice:
    """What libav needs to read: `read` and `seek` within a range of bytes. `close` releases the file."""

    def __init__(self, path: Path, first: int, end: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._first, self._size = first, max(0, end - first)
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; nothing at the end."""
        self._file.seek(self._first + self._at)
        content = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(base + offset, self._size))
        return self._at

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def close(self) -> None:
        """Release the file."""
        self._file.close()
