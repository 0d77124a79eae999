"""The locks of devices: a deployment locks all its devices or none, and one deployment locks a device.

The reconciler locks a device as well, for a limited time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from k1_deploy.orchestration.storage.leases import DeploymentLease, draw_fence, notify_schedulers
from k1_platform.postgres.pool import Connection, Pool

RECONCILER: Final = "healing"
"""The name of the reconciler among the blockers of a deployment."""


@dataclass(frozen=True, slots=True)
class LocksTaken:
    """The devices are locked."""

    device_ids: list[str]
    superseded: list[str]
    """A later deployment has set the desired state of these: they are not locked."""


@dataclass(frozen=True, slots=True)
class LocksBlocked:
    """Others lock one of the devices, or have waited for it for longer."""

    by: list[str]


class _BusyError(Exception):
    """Rolls the transaction back: another process was faster."""


async def lock_devices(
    pool: Pool, lease: DeploymentLease, device_ids: Sequence[str]
) -> LocksTaken | LocksBlocked:
    """Lock the devices of a new deployment; older deployments come first."""
    return await _take(pool, lease, device_ids, waits=True, bundle_sha256=None)


async def relock_devices(
    pool: Pool, lease: DeploymentLease, device_ids: Sequence[str], bundle_sha256: str
) -> LocksTaken | LocksBlocked:
    """Lock devices again for a rollback after a success, if their desired state is still the bundle."""
    return await _take(pool, lease, device_ids, waits=False, bundle_sha256=bundle_sha256)


async def _take(
    pool: Pool, lease: DeploymentLease, device_ids: Sequence[str], *, waits: bool, bundle_sha256: str | None
) -> LocksTaken | LocksBlocked:
    try:
        async with pool.acquire() as connection, connection.transaction():
            # Their holder before used lower fences: draw a new one each time the devices change hands.
            fence = await draw_fence(connection, lease)
            mine = set(device_ids)
            if bundle_sha256 is not None:
                mine = await _still_ours(connection, device_ids, bundle_sha256)
            by = await find_blockers(connection, lease.deployment_id, sorted(mine), waits=waits)
            if by or not await _lock(connection, lease.deployment_id, mine):
                raise _BusyError(by)  # noqa: TRY301  it rolls the transaction back
    except _BusyError as busy:
        return LocksBlocked(busy.args[0])
    lease.fence = fence
    return LocksTaken(
        [device_id for device_id in device_ids if device_id in mine],
        [device_id for device_id in device_ids if device_id not in mine],
    )


async def _lock(connection: Connection, deployment_id: str, device_ids: Collection[str]) -> bool:
    rows = await connection.fetch(
        """
        INSERT INTO deploy.device_locks AS l (device_id, deployment_id)
        SELECT id, $1 FROM unnest($2::text[]) AS id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET deployment_id = excluded.deployment_id, until = NULL
        WHERE l.until <= now() OR l.deployment_id = excluded.deployment_id
        RETURNING device_id
        """,
        deployment_id,
        list(device_ids),
    )
    return len(rows) == len(device_ids)


async def _still_ours(connection: Connection, device_ids: Sequence[str], bundle_sha256: str) -> set[str]:
    rows = await connection.fetch(
        "SELECT id FROM deploy.devices WHERE id = ANY($1::text[]) AND expected_sha256 = $2",
        device_ids,
        bundle_sha256,
    )
    return {row["id"] for row in rows}


async def find_blockers(
    connection: Connection, deployment_id: str, device_ids: Sequence[str], *, waits: bool = True
) -> list[str]:
    """Return the deployments that lock one of these devices or, with `waits`, have waited for one for longer."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT coalesce(deployment_id, $4) AS id FROM deploy.device_locks
        WHERE device_id = ANY($2::text[]) AND deployment_id IS DISTINCT FROM $1
          AND (until IS NULL OR until > now())
        UNION
        SELECT d.id FROM deploy.deployments AS d
        WHERE $3 AND d.status = 'queued' AND d.id <> $1
          AND (d.created_at, d.id) < (SELECT created_at, id FROM deploy.deployments WHERE id = $1)
          AND EXISTS (
            SELECT FROM deploy.deployment_devices AS dd
            WHERE dd.deployment_id = d.id AND dd.device_id = ANY($2::text[])
          )
        ORDER BY id
        """,
        deployment_id,
        device_ids,
        waits,
        RECONCILER,
    )
    return [row["id"] for row in rows]


async def unlock_devices(connection: Connection, deployment_id: str, device_ids: Collection[str]) -> None:
    """Release the devices and notify the schedulers."""
    await connection.execute(
        "DELETE FROM deploy.device_locks WHERE deployment_id = $1 AND device_id = ANY($2::text[])",
        deployment_id,
        list(device_ids),
    )
    await notify_schedulers(connection)


async def lock_for_reconciler(connection: Connection, device_id: str, seconds: float) -> int | None:
    """Lock a device for so many seconds; return a fence, or None when the device is locked already."""
    return await connection.fetchval(
        """
        INSERT INTO deploy.device_locks AS l (device_id, until) VALUES ($1, now() + $2)
        ON CONFLICT (device_id) DO UPDATE SET until = excluded.until WHERE l.until <= now()
        RETURNING nextval('deploy.fences')
        """,
        device_id,
        timedelta(seconds=seconds),
    )


async def unlock_from_reconciler(connection: Connection, device_id: str) -> None:
    """Release the reconciler's lock of a device."""
    await connection.execute(
        "DELETE FROM deploy.device_locks WHERE device_id = $1 AND deployment_id IS NULL", device_id
    )
    await notify_schedulers(connection)


class DeviceLockLookup:
    """Implements `DeploymentLookup` on the locks."""

    async def find_holders(self, connection: Connection, device_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the deployment that locks each device now; unlocked devices are left out."""
        rows = await connection.fetch(
            "SELECT device_id, deployment_id FROM deploy.device_locks"
            " WHERE device_id = ANY($1::text[]) AND deployment_id IS NOT NULL",
            list(device_ids),
        )
        return {row["device_id"]: row["deployment_id"] for row in rows}

    async def is_staging(self, connection: Connection, device_id: str, bundle_sha256: str) -> bool:
        """Return whether a deployment stages this bundle on the device, to activate it or to roll back to it."""
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (
                    SELECT FROM deploy.device_locks AS l
                    JOIN deploy.deployments AS d ON d.id = l.deployment_id
                    WHERE l.device_id = $1 AND d.bundle -> 'bundle' ->> 'sha256' = $2
                ) OR EXISTS (
                    SELECT FROM deploy.device_locks AS l
                    JOIN deploy.devices AS v ON v.id = l.device_id
                    WHERE l.device_id = $1 AND v.expected_sha256 = $2
                )
                """,
                device_id,
                bundle_sha256,
            )
        )
