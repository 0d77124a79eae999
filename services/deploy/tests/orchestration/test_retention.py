"""Deployments are removed with their logs a month after their end, on a real database."""

from datetime import timedelta

from k1_deploy.orchestration.retention import DeploymentRetention
from k1_platform.postgres.pool import Pool
from services.deploy.tests import queued_deployments
from services.deploy.tests.queued_deployments import NOW


async def end(pool: Pool, deployment: str, days_ago: int, *, closed: bool = True) -> None:
    """Make a deployment look as if it ended some days ago."""
    await pool.execute(
        "UPDATE deploy.deployments SET closed = $2, status = 'succeeded', ended_at = $3, wake_at = NULL WHERE id = $1",
        deployment,
        closed,
        NOW - timedelta(days=days_ago),
    )


async def test_old_deployments_are_removed_with_their_logs(pool: Pool) -> None:
    """Those that run or ended lately stay, and the newest of each device; the audit trail loses no line."""
    old = await queued_deployments.add(pool, ["k1-a", "k1-b"], 1)
    newest = await queued_deployments.add(pool, ["k1-a"], 2)
    recent = await queued_deployments.add(pool, ["k1-b"], 3)
    running = await queued_deployments.add(pool, ["k1-b"], 4)
    last = await queued_deployments.add(pool, ["k1-b"], 5)
    for deployment, days in ((old, 31), (newest, 400), (recent, 29), (last, 1)):
        await end(pool, deployment, days)
    await end(pool, running, 31, closed=False)
    await pool.execute(
        "INSERT INTO deploy.audit (at, actor, action, deployment_id) VALUES ($1, 'a', 'requested', $2)",
        NOW,
        old,
    )

    async def never() -> bool:
        return False

    retention = DeploymentRetention(pool, timedelta(days=30), lambda: NOW, never)
    assert (await retention.remove_old(), await retention.remove_old()) == (1, 0)
    left = {row["id"] for row in await pool.fetch("SELECT id FROM deploy.deployments")}
    assert left == {newest, recent, running, last}
    assert {row["deployment_id"] for row in await pool.fetch("SELECT deployment_id FROM deploy.log")} == left
    assert await pool.fetchval("SELECT count(*) FROM deploy.audit WHERE deployment_id = $1", old) == 1
