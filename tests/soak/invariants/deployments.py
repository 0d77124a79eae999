"""Checks deployments, their signals, and what they hold."""

from collections.abc import Iterator

from tests.soak.activities import Activities
from tests.support.system import System


def accepted_ones_are_kept(system: System, activities: Activities) -> Iterator[str]:
    """Every accepted deployment is there once, and no signal waits."""
    stored = {row["id"] for row in system.sql("SELECT id FROM deploy.deployments")}
    if missing := set(activities.deployments) - stored:
        yield f"accepted deployments are missing: {sorted(missing)[:5]}"
    if len(set(activities.deployments)) != len(activities.deployments):
        yield "two requests got the same deployment"
    waiting = system.sql("SELECT deployment_id FROM deploy.signals")
    yield from (f"a signal for {row['deployment_id']} is not handled" for row in waiting)


def nothing_is_locked(system: System, _: Activities) -> Iterator[str]:
    """No deployment holds a device, and no process a deployment."""
    locks = system.sql("SELECT device_id FROM deploy.device_locks WHERE deployment_id IS NOT NULL")
    yield from (f"{row['device_id']} is still locked" for row in locks)
    leases = system.sql(
        "SELECT id, status FROM deploy.deployments WHERE owner IS NOT NULL AND lease_until > now() + interval '1 minute'"
    )
    yield from (f"{row['id']} ({row['status']}) is still leased" for row in leases)
