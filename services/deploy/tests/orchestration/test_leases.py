"""Leases, locks and the log on real PostgreSQL: of two owners one acts, and a stale fence has no effect."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.messages.deploy.deployment_queries import ControlDeployment
from k1_deploy.devices import device_store
from k1_deploy.errors import LeaseLostError
from k1_deploy.orchestration.events.event_log import EventLog, WriteConflictError
from k1_deploy.orchestration.storage import deployment_store, device_locks, leases, signal_store
from k1_deploy.orchestration.storage.device_locks import LocksBlocked, LocksTaken
from k1_deploy.orchestration.storage.leases import DeploymentLease
from k1_deploy.requests.deployment_queries import DeploymentQueries
from k1_deploy.saga.entries import (
    Controlled,
    Locked,
    LogEntry,
    Outcome,
    StatusChanged,
)
from k1_deploy.saga.signals import ControlSignal
from k1_deploy.saga.transitions import fold
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.queued_deployments import NOW, add
from services.deploy.tests.saga.sample_deployment import intent, outcome
from services.deploy.tests.scripted_device import hello

LEASE_S = 600.0
"""Expires when a test says so."""
CANCEL = ControlSignal(action="cancel", by="anna")


async def claim(pool: Pool, owner: str, limit: int = 10) -> list[DeploymentLease]:
    async with pool.acquire() as connection:
        return await leases.claim(connection, owner, limit, LEASE_S)


async def expire(pool: Pool) -> None:
    """Let all leases expire."""
    await pool.execute("UPDATE deploy.deployments SET lease_until = now() - interval '1 ms'")


async def event_log(
    pool: Pool, lease: DeploymentLease, committed: list[Sequence[LogEntry]] | None = None
) -> EventLog:
    async with pool.acquire() as connection:
        found = await deployment_store.load_deployment(connection, lease.deployment_id)
    assert found is not None
    row, entries = found
    commits = committed if committed is not None else []
    state = fold(lease.deployment_id, entries)
    return EventLog(
        pool, lease, row, state, len(entries), lambda _before, _after, added: commits.append(added)
    )


async def test_of_two_owners_one_gets_the_deployment(pool: Pool) -> None:
    """The other claims it when the first has not renewed, with a higher fence, marked as taken over."""
    deployment = await add(pool, ["a"])
    [first], none = await claim(pool, "one"), await claim(pool, "two")
    assert (first.deployment_id, first.taken_over, none) == (deployment, False, [])
    await expire(pool)
    [second] = await claim(pool, "two")
    assert second.taken_over
    assert second.fence > first.fence


async def test_many_owners_at_once_share_without_overlap(pool: Pool) -> None:
    """Each deployment has one owner, however many ask at the same moment."""
    added = {await add(pool, [f"d{number}"]) for number in range(20)}
    taken = await asyncio.gather(*(claim(pool, f"owner-{number}", 5) for number in range(8)))
    ids = [lease.deployment_id for each in taken for lease in each]
    assert (sorted(added), len(ids)) == (sorted(ids), len(set(ids)))


async def test_a_renewed_lease_is_kept_and_a_lost_one_ends(pool: Pool) -> None:
    """At the next renewal the holder learns that another has taken the deployment."""
    await add(pool, ["a"])
    [first] = await claim(pool, "one")
    async with pool.acquire() as connection:
        await leases.renew(connection, [first])
        assert first.is_valid
        await expire(pool)
        await claim(pool, "two")
        await leases.renew(connection, [first])
    with pytest.raises(LeaseLostError, match="has ended"):
        first.require()


def test_a_lease_ends_by_itself() -> None:
    """Without a response of the database its holder stops before another could begin."""
    now = 100.0
    lease = DeploymentLease("dep", "one", 1, LEASE_S, valid_until=now + LEASE_S, clock=lambda: now)
    lease.require()
    now += LEASE_S
    with pytest.raises(LeaseLostError):
        lease.require()


async def test_a_released_deployment_waits_for_its_time_or_a_signal(pool: Pool) -> None:
    """It has no owner meanwhile."""
    deployment = await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        await leases.release(connection, lease, NOW + timedelta(days=1))
        assert await claim(pool, "two") == []
        signal = await signal_store.add_signal(connection, deployment, CANCEL)
        [again] = await claim(pool, "two")
        assert not again.taken_over
        await signal_store.delete_signals(connection, [signal])
        await leases.release(connection, again, NOW - timedelta(seconds=1))
    assert [each.deployment_id for each in await claim(pool, "three")] == [deployment]


async def test_a_process_that_dies_after_a_signal_is_replaced_at_once(pool: Pool) -> None:
    """The signal is handled and its effects are in progress: another continues now, not when the guard time ends."""
    deployment = await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        await leases.release(connection, lease, datetime.now(UTC) + timedelta(minutes=10))
        signal_id = await signal_store.add_signal(connection, deployment, CANCEL)
        assert await claim(pool, "one")
        await signal_store.delete_signals(connection, [signal_id])
    await expire(pool)
    [successor] = await claim(pool, "two")
    assert successor.taken_over


async def test_a_stale_fence_cannot_write(pool: Pool) -> None:
    """The whole transaction fails: neither the log nor anything beside it changes."""
    deployment = await add(pool, ["a"])
    [first] = await claim(pool, "one")
    stale = await event_log(pool, first)
    running = asyncio.create_task(stale.run())
    await expire(pool)
    await claim(pool, "two")
    writing = asyncio.create_task(stale.write(Controlled(at=NOW, action="pause", by="anna")))
    with pytest.raises(LeaseLostError, match="another process has taken"):
        await asyncio.wait_for(running, timeout=60)
    writing.cancel()
    assert await pool.fetchval("SELECT count(*) FROM deploy.log WHERE deployment_id = $1", deployment) == 1
    assert not await pool.fetchval("SELECT paused FROM deploy.deployments WHERE id = $1", deployment)
    assert await pool.fetchval("SELECT count(*) FROM deploy.outbox") == 0


async def test_concurrent_entries_are_written_in_one_transaction(pool: Pool) -> None:
    """A thousand writers, a handful of transactions, one order; the log folds to the state in memory."""
    ids = [f"d{number:04d}" for number in range(1000)]
    await add(pool, ids)
    [lease] = await claim(pool, "one")
    committed: list[Sequence[LogEntry]] = []
    writer = await event_log(pool, lease, committed)
    running = asyncio.create_task(writer.run())
    await writer.write(Locked(at=NOW, device_ids=ids), StatusChanged(at=NOW, status="checking"))

    async def check(device_id: str) -> None:
        await writer.write(intent("check", device_id))
        await writer.write(outcome("check", device_id), hello=hello(device_id))

    await asyncio.gather(*map(check, ids))
    running.cancel()
    assert len(committed) < 50
    async with pool.acquire() as connection:
        found = await deployment_store.load_deployment(connection, lease.deployment_id)
        rows = await device_store.get_devices(connection, ids)
    assert found is not None
    assert fold(lease.deployment_id, found[1]) == writer.state
    assert all(row.hello for row in rows.values())


async def test_only_the_writer_of_a_conflicting_entry_gets_an_error(pool: Pool) -> None:
    """Only the writer of an illegal entry gets an error; the others' entries are written."""
    await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    writer = await event_log(pool, lease)
    running = asyncio.create_task(writer.run())
    pause = Controlled(at=NOW, action="pause", by="anna")
    late = Outcome(at=NOW, device_id="a", step="stage", result="done")
    results = await asyncio.gather(writer.write(late), writer.write(pause), return_exceptions=True)
    assert isinstance(results[0], WriteConflictError)
    assert results[1] is None
    assert writer.state.paused
    running.cancel()


async def test_devices_are_locked_all_or_none_and_the_earlier_comes_first(pool: Pool) -> None:
    """The later deployment waits, and knows for which; a third that needs fewer devices does not overtake it."""
    first, second, third = [await add(pool, ids) for ids in (["a", "b"], ["b", "c"], ["c"])]
    held = {lease.deployment_id: lease for lease in await claim(pool, "one")}
    assert await device_locks.lock_devices(pool, held[second], ["b", "c"]) == LocksBlocked([first])
    fence = held[first].fence
    assert await device_locks.lock_devices(pool, held[first], ["a", "b"]) == LocksTaken(["a", "b"], [])
    assert held[first].fence > fence
    assert await device_locks.lock_devices(pool, held[third], ["c"]) == LocksBlocked([second])
    async with pool.acquire() as connection:
        lookup = device_locks.DeviceLockLookup()
        assert await lookup.find_holders(connection, ["a", "b", "c"]) == {"a": first, "b": first}
        assert await lookup.is_staging(connection, "a", bundle_info(1).bundle.sha256)
        assert not await lookup.is_staging(connection, "c", bundle_info(1).bundle.sha256)
        await pool.execute("UPDATE deploy.deployments SET status = 'succeeded' WHERE id = $1", first)
        await device_locks.unlock_devices(connection, first, ["a", "b"])
    assert await device_locks.lock_devices(pool, held[second], ["b", "c"]) == LocksTaken(["b", "c"], [])


async def test_concurrent_locking_has_no_deadlock(pool: Pool) -> None:
    """Twenty deployments lock the same devices in different orders: exactly one gets them, none waits for a row."""
    ids = [f"d{number}" for number in range(10)]
    for number in range(20):
        await add(pool, ids[number % 10 :] + ids[: number % 10])
    held = await claim(pool, "one", 20)
    taken = await asyncio.wait_for(
        asyncio.gather(*(device_locks.lock_devices(pool, lease, ids) for lease in held)), timeout=60
    )
    assert len([each for each in taken if isinstance(each, LocksTaken)]) == 1


async def test_a_later_deployment_is_not_rolled_back(pool: Pool) -> None:
    """Locked again after a success: only devices whose desired state is still the bundle."""
    deployment = await add(pool, ["a", "b"])
    [lease] = await claim(pool, "one")
    mine = bundle_info(1).bundle
    async with pool.acquire() as connection:
        ours = {"bundle_sha256": mine.sha256, "track_id": mine.track_id, "version": mine.version}
        running = hello("a", active=ours).active
        await device_store.set_expected(connection, {"a": running, "b": None})
    assert await device_locks.relock_devices(pool, lease, ["a", "b"], mine.sha256) == LocksTaken(["a"], ["b"])
    assert deployment == lease.deployment_id


async def test_the_reconciler_locks_a_device_for_a_limited_time(pool: Pool) -> None:
    """A deployment waits for the reconciler, but not for one that died."""
    await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        fence = await device_locks.lock_for_reconciler(connection, "a", 60)
        assert fence is not None
        assert fence > lease.fence
        assert await device_locks.lock_for_reconciler(connection, "a", 60) is None
        assert await device_locks.lock_devices(pool, lease, ["a"]) == LocksBlocked([device_locks.RECONCILER])
        await connection.execute("UPDATE deploy.device_locks SET until = now() - interval '1 ms'")
    assert await device_locks.lock_devices(pool, lease, ["a"]) == LocksTaken(["a"], [])
    async with pool.acquire() as connection:
        assert await device_locks.lock_for_reconciler(connection, "a", 60) is None


async def test_a_pending_pause_can_be_resumed(pool: Pool) -> None:
    """Both controls wait in their order; without the pause there is nothing to resume."""
    deployment_id = await add(pool, ["a"])
    questions = DeploymentQueries(pool, lambda _: {}, lambda: datetime.now(UTC))
    resume = ControlDeployment(deployment_id=deployment_id, action="resume")
    with pytest.raises(QueryError, match="nothing to resume"):
        await questions.control(resume)
    await questions.control(ControlDeployment(deployment_id=deployment_id, action="pause"))
    await questions.control(resume)
    async with pool.acquire() as connection:
        waiting = await signal_store.list_signals(connection, [deployment_id])
    actions = [
        each.signal.action for each in waiting[deployment_id] if isinstance(each.signal, ControlSignal)
    ]
    assert actions == ["pause", "resume"]
