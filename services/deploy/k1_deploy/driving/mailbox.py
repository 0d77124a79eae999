"""Signals for deployments: left by whoever notices something, taken by whoever drives the deployment."""

from collections.abc import Sequence
from dataclasses import dataclass

from k1_deploy.driving.leases import notify
from k1_deploy.saga.signals import Signal, read_signal
from k1_platform.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class WaitingSignal:
    """A signal that nobody has taken yet."""

    id: int
    signal: Signal


async def add_signal(connection: Connection, deployment_id: str, signal: Signal) -> int:
    """Leave a signal for whoever drives the deployment; its id."""
    signal_id = await connection.fetchval(
        "INSERT INTO deploy.signals (deployment_id, signal) VALUES ($1, $2) RETURNING id",
        deployment_id,
        signal.model_dump_json(exclude_none=True),
    )
    await notify(connection)
    assert isinstance(signal_id, int)
    return signal_id


async def waiting_signals(
    connection: Connection, deployment_ids: Sequence[str]
) -> dict[str, list[WaitingSignal]]:
    """The signals for these deployments, the oldest first."""
    rows = await connection.fetch(
        "SELECT id, deployment_id, signal FROM deploy.signals WHERE deployment_id = ANY($1::text[]) ORDER BY id",
        deployment_ids,
    )
    found: dict[str, list[WaitingSignal]] = {}
    for row in rows:
        found.setdefault(row["deployment_id"], []).append(
            WaitingSignal(row["id"], read_signal(row["signal"]))
        )
    return found


async def drop_signals(connection: Connection, ids: Sequence[int]) -> None:
    """They were taken."""
    await connection.execute("DELETE FROM deploy.signals WHERE id = ANY($1::bigint[])", ids)


async def signal_waits(connection: Connection, signal_id: int) -> bool:
    """Whether nobody has taken the signal yet."""
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM deploy.signals WHERE id = $1)", signal_id)
    )


async def watching(connection: Connection, device_id: str) -> list[str]:
    """The deployments that have not closed and are about this device."""
    rows = await connection.fetch(
        """
        SELECT d.id FROM deploy.deployments AS d JOIN deploy.deployment_devices AS dd ON dd.deployment_id = d.id
        WHERE dd.device_id = $1 AND NOT d.closed ORDER BY d.id
        """,
        device_id,
    )
    return [row["id"] for row in rows]


async def strayed_from(connection: Connection, device_id: str, running: str | None) -> str | None:
    """The deployment that holds this device and has made it run another bundle than it does."""
    return await connection.fetchval(
        """
        SELECT d.id FROM deploy.device_locks AS l
        JOIN deploy.deployments AS d ON d.id = l.deployment_id
        JOIN deploy.deployment_devices AS dd ON dd.deployment_id = d.id AND dd.device_id = l.device_id
        WHERE l.device_id = $1 AND dd.outcome = 'active'
          AND d.bundle -> 'bundle' ->> 'sha256' IS DISTINCT FROM $2
        """,
        device_id,
        running,
    )


async def pending_of(connection: Connection, device_id: str) -> list[str]:
    """The deployments that wait for this device to be put right."""
    rows = await connection.fetch(
        "SELECT deployment_id FROM deploy.deployment_devices"
        " WHERE device_id = $1 AND outcome = 'rollback_pending' ORDER BY deployment_id",
        device_id,
    )
    return [row["deployment_id"] for row in rows]
