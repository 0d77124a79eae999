"""Says what an upload is read from: a form that arrives, or an object that has arrived before."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class SongSource(Protocol):
    """Where the name, the fields and the bytes of one song come from, in this order."""

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """Return the fields of the form that have been read so far."""
        ...

    async def filename(self) -> str:
        """Read up to the file and return its name."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""
        ...

    async def read_rest(self) -> None:
        """Read the fields after the file."""
        ...


@dataclass(frozen=True, slots=True)
class StoredSong:
    """A song whose bytes lie in the object store already."""

    name: str
    fields: Sequence[tuple[str, str]]
    read: Callable[[], AsyncIterator[bytes]]

    async def filename(self) -> str:
        """Return the name of the file."""
        return self.name

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""
        return self.read()

    async def read_rest(self) -> None:
        """Do nothing: every field is known."""
