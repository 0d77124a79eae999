"""The leases of deployments: of several processes exactly one executes a deployment, protected by a fencing token.

A lease expires when it is not renewed. The process that claims the deployment then gets a higher fence; from that
moment on, writes and commands with a lower one have no effect. The database's clock counts.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from k1_deploy.errors import LeaseLostError
from k1_platform.postgres.pool import Connection

_SAFETY_SHARE: Final = 0.9
"""The share of a lease after which its holder stops, before the database gives the deployment to another."""
CHANNEL: Final = "deploy_saga"
"""Notified when a deployment, a signal or a released device may be of interest to a scheduler."""


@dataclass(slots=True, eq=False)
class DeploymentLease:
    """The right to execute one deployment."""

    deployment_id: str
    owner: str
    fence: int
    duration_s: float
    """The duration from each renewal on."""
    valid_until: float
    """By `clock`, in s."""
    taken_over: bool = False
    """The owner before did not release it."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def is_valid(self) -> bool:
        return self.clock() < self.valid_until

    def require(self) -> None:
        """Check the lease; call this before every action.

        Raises:
            LeaseLostError: another process may execute the deployment by now.
        """
        if not self.is_valid:
            raise LeaseLostError(f"the lease of {self.deployment_id} has ended")


async def claim(
    connection: Connection,
    owner: str,
    limit: int,
    duration_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[DeploymentLease]:
    """Claim deployments without a valid lease that are due or have a signal, the oldest first.

    A claimed deployment stays due until it is released: if its owner dies, what made it due may have been handled
    already, but the rest was not.
    """
    valid_until = clock() + duration_s * _SAFETY_SHARE  # before the query, because its result may be late
    rows = await connection.fetch(
        """
        WITH due AS (
            SELECT id, owner FROM deploy.deployments
            WHERE lease_until < now() AND id IN (
                SELECT id FROM deploy.deployments WHERE wake_at <= now()
                UNION ALL SELECT deployment_id FROM deploy.signals
            )
            ORDER BY created_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE deploy.deployments AS d
        SET owner = $1, fence = nextval('deploy.fences'), lease_until = now() + $3, wake_at = now()
        FROM due WHERE d.id = due.id
        RETURNING d.id, d.fence, due.owner IS NOT NULL AS taken_over
        """,
        owner,
        limit,
        timedelta(seconds=duration_s),
    )
    return [
        DeploymentLease(row["id"], owner, row["fence"], duration_s, valid_until, row["taken_over"], clock)
        for row in rows
    ]


async def renew(connection: Connection, leases: Iterable[DeploymentLease]) -> None:
    """Renew the leases of one owner; those that another process has taken expire now."""
    held = [lease for lease in leases if lease.is_valid]
    if not held:
        return
    asked_at, duration_s = held[0].clock(), held[0].duration_s
    rows = await connection.fetch(
        "UPDATE deploy.deployments SET lease_until = now() + $3"
        " WHERE owner = $1 AND id = ANY($2::text[]) RETURNING id",
        held[0].owner,
        sorted(lease.deployment_id for lease in held),
        timedelta(seconds=duration_s),
    )
    kept = {row["id"] for row in rows}
    for lease in held:
        lease.valid_until = asked_at + duration_s * _SAFETY_SHARE if lease.deployment_id in kept else asked_at


async def release(connection: Connection, lease: DeploymentLease, wake_at: datetime | None) -> None:
    """Release a deployment until `wake_at`, or until there is a signal."""
    await connection.execute(
        "UPDATE deploy.deployments SET owner = NULL, lease_until = '-infinity', wake_at = $3"
        " WHERE id = $1 AND fence = $2",
        lease.deployment_id,
        lease.fence,
        wake_at,
    )
    await notify_schedulers(connection)
    lease.valid_until = lease.clock()


async def require_fence(connection: Connection, lease: DeploymentLease) -> None:
    """Check that the lease's fence is still the highest, and lock the deployment's row.

    Raises:
        LeaseLostError: another process has taken the deployment.
    """
    held = await connection.fetchval(
        "SELECT true FROM deploy.deployments WHERE id = $1 AND fence = $2 FOR UPDATE",
        lease.deployment_id,
        lease.fence,
    )
    if not held:
        raise LeaseLostError(f"another process has taken {lease.deployment_id}")


async def draw_fence(connection: Connection, lease: DeploymentLease) -> int:
    """Return a higher fence for a valid lease; store it in the lease once the transaction is committed."""
    await require_fence(connection, lease)
    fence = await connection.fetchval(
        "UPDATE deploy.deployments SET fence = nextval('deploy.fences') WHERE id = $1 RETURNING fence",
        lease.deployment_id,
    )
    assert isinstance(fence, int)
    return fence


async def notify_schedulers(connection: Connection) -> None:
    """Wake the waiting schedulers when the transaction is committed."""
    await connection.execute(f"NOTIFY {CHANNEL}")
