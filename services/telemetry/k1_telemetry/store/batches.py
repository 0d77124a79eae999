"""Remembers which messages are stored, so that each is stored once: the table `stored_batches`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import numpy as np

from k1_platform.postgres.pool import Connection, Pool
from k1_telemetry.store.columns import SampleMessage

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSERT_BATCH: Final = (
    "INSERT INTO telemetry.stored_batches (sequences, arrived) VALUES ($1, tstzrange($2, $3, '[]'))"
)
_STORED_BATCHES: Final = """
    SELECT sequences, lower(arrived) AS since, upper(arrived) AS until FROM telemetry.stored_batches
    WHERE sequences && $1 AND arrived && tstzrange($2, $3, '[]')
"""
_PRUNE_BATCHES: Final = "DELETE FROM telemetry.stored_batches WHERE upper(arrived) < $1"


async def insert_batch(connection: Connection, messages: Sequence[SampleMessage]) -> None:
    """Record that the transaction stores these messages.

    Raises:
        asyncpg.ExclusionViolationError: another transaction has stored one of them.
    """
    await connection.execute(_INSERT_BATCH, *_identity(messages))


async def without_stored(pool: Pool, messages: Sequence[SampleMessage]) -> list[SampleMessage]:
    """Return the messages that are not stored."""
    left = list(messages)
    for batch in await pool.fetch(_STORED_BATCHES, *_identity(messages)):
        ranges = [(each.lower, each.upper) for each in batch["sequences"]]
        left = [
            message
            for message in left
            if not (
                batch["since"] <= at_time(message.arrived_us) <= batch["until"]
                and any(lower <= message.sequence < upper for lower, upper in ranges)
            )
        ]
    return left


async def forget_batches(pool: Pool, before: datetime) -> None:
    """Delete the batches all of whose messages arrived before a time, because the stream has dropped those."""
    await pool.execute(_PRUNE_BATCHES, before)


def at_time(microseconds: int) -> datetime:
    """Return the time that is this many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _identity(messages: Sequence[SampleMessage]) -> tuple[list["asyncpg.Range[int]"], datetime, datetime]:
    """Return what tells a batch from others: the numbers of its messages as ranges, and when they arrived."""
    sequences = np.unique([message.sequence for message in messages])
    breaks = np.flatnonzero(np.diff(sequences) != 1) + 1
    runs = np.split(sequences, breaks)
    ranges = [asyncpg.Range(int(run[0]), int(run[-1]) + 1) for run in runs]
    arrived = [message.arrived_us for message in messages]
    return ranges, at_time(min(arrived)), at_time(max(arrived))
