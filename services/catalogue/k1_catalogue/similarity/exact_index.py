"""Finds the nearest vectors by comparing all of them: for servers without pgvector.

The vectors of 100,000 songs take 20 MB. They are read once; later searches read only what was written since.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from k1_catalogue.similarity import store
from k1_catalogue.similarity.features import DIMENSIONS, Vector
from k1_catalogue.similarity.store import Neighbour, VectorRow
from k1_platform.postgres.pool import Connection

_BATCH: Final = 5000
_FIRST_CAPACITY: Final = 1024
_EXTRA: Final = 20
"""Candidates beyond the limit: earlier versions, failed and deleted tracks are among the vectors."""
_OVERLAP: Final = 500
"""Numbers that are read again, because transactions commit in another order than they take their numbers."""
Key = tuple[str, int]
"""Track id and version."""


class ExactIndex:
    """The vectors of all versions in one matrix, kept up to date from the table."""

    def __init__(self) -> None:
        self._matrix = np.zeros((_FIRST_CAPACITY, DIMENSIONS), dtype=np.float32)
        self._keys: list[Key] = []
        self._rows: dict[Key, int] = {}
        self._seq = 0
        self._update = asyncio.Lock()

    async def nearest(
        self, connection: Connection, vector: Vector, track_id: str, limit: int
    ) -> list[Neighbour]:
        """Return the nearest tracks that can be played, nearest first."""
        await self._read_new(connection)
        distances = self._distances(vector)
        found: list[Neighbour] = []
        wanted = min(limit + _EXTRA, len(distances))
        while True:
            nearest = _smallest(distances, wanted)
            keys = [self._keys[row] for row in nearest]
            playable = await store.read_playable(connection, keys)
            found = [playable[key] for key in keys if key in playable and key[0] != track_id]
            if len(found) >= limit or wanted >= len(distances):
                return found[:limit]
            wanted = min(wanted * 4, len(distances))

    def add(self, row: VectorRow) -> None:
        """Add a vector, or replace that of the same version."""
        key = row.track_id, row.version
        place = self._rows.setdefault(key, len(self._keys))
        if place == len(self._keys):
            self._keys.append(key)
            if place == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[place] = row.vector
        self._seq = max(self._seq, row.seq)

    async def _read_new(self, connection: Connection) -> None:
        async with self._update:
            async for row in _rows_after(connection, self._seq - _OVERLAP):
                self.add(row)

    def _distances(self, vector: Vector) -> NDArray[np.float32]:
        """Return the squared distance to each vector, in the order in which they were added."""
        matrix = self._matrix[: len(self._keys)]
        return np.einsum("ij,ij->i", matrix, matrix) - 2 * (matrix @ vector)


def _smallest(distances: NDArray[np.float32], count: int) -> list[int]:
    """Return the places of the smallest values, smallest first."""
    if count >= len(distances):
        return np.argsort(distances, kind="stable").tolist()
    places = np.argpartition(distances, count)[:count]
    return places[np.argsort(distances[places], kind="stable")].tolist()


async def _rows_after(connection: Connection, seq: int) -> AsyncIterator[VectorRow]:
    while batch := await store.vectors_after(connection, seq, _BATCH):
        for row in batch:
            yield row
        seq = batch[-1].seq
