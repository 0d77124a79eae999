"""Stores signals for deployments until the executor has handled them."""

from collections.abc import Sequence
from dataclasses import dataclass

from k1_deploy.orchestration.storage.leases import notify_schedulers
from k1_deploy.saga.signals import Signal, parse_signal
from k1_platform.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal that is not handled yet."""

    id: int
    signal: Signal


async def add_signal(connection: Connection, deployment_id: str, signal: Signal) -> int:
    """Add a signal for the executor of a deployment; return its id."""
    signal_id = await connection.fetchval(
        "INSERT INTO deploy.signals (deployment_id, signal) VALUES ($1, $2) RETURNING id",
        deployment_id,
        signal.model_dump_json(exclude_none=True),
    )
    await notify_schedulers(connection)
    assert isinstance(signal_id, int)
    return signal_id


async def list_signals(
    connection: Connection, deployment_ids: Sequence[str]
) -> dict[str, list[StoredSignal]]:
    """Return the signals for these deployments, the oldest first."""
    rows = await connection.fetch(
        "SELECT id, deployment_id, signal FROM deploy.signals WHERE deployment_id = ANY($1::text[]) ORDER BY id",
        deployment_ids,
    )
    found: dict[str, list[StoredSignal]] = {}
    for row in rows:
        found.setdefault(row["deployment_id"], []).append(
            StoredSignal(row["id"], parse_signal(row["signal"]))
        )
    return found


async def delete_signals(connection: Connection, ids: Sequence[int]) -> None:
    """Delete handled signals."""
    await connection.execute("DELETE FROM deploy.signals WHERE id = ANY($1::bigint[])", ids)


async def is_pending(connection: Connection, signal_id: int) -> bool:
    """Return whether the signal is not handled yet."""
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM deploy.signals WHERE id = $1)", signal_id)
    )
