"""Leases, locks and the log on real PostgreSQL: of two owners one acts, and what a fence keeps out stays out."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.ids import new_id
from k1_contracts.messages.deployment_queries import ControlDeployment
from k1_contracts.messages.deployments import RequestDeployment
from k1_deploy import store
from k1_deploy.deployment_questions import DeploymentQuestions
from k1_deploy.devices import device_store
from k1_deploy.driving import leases, locks, mailbox
from k1_deploy.driving.journal import Journal, OvertakenError
from k1_deploy.driving.leases import Lease
from k1_deploy.driving.locks import Blocked, Taken
from k1_deploy.errors import LeaseLostError
from k1_deploy.saga.entries import Became, Controlled, Locked, LogEntry, Opened, Outcome, logged
from k1_deploy.saga.signals import ControlSignal
from k1_deploy.saga.transitions import fold
from k1_platform.database import Pool
from k1_platform.rpc import AnswerError
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.devices import hello

LEASE_S = 600.0
"""Ends when a test says so."""
NOW = logged(datetime.now(UTC))
CANCEL = ControlSignal(action="cancel", by="anna")


async def add(pool: Pool, device_ids: Sequence[str], number: int = 1) -> str:
    """A queued deployment to these devices."""
    info = bundle_info(number)
    request = RequestDeployment.model_validate(
        {
            "deployment_id": new_id("dep"),
            "track_id": info.bundle.track_id,
            "version": info.bundle.version,
            "device_ids": device_ids,
            "requested_at": NOW,
        }
    )
    opened = Opened(
        at=NOW,
        bundle=info.bundle,
        device_ids=list(device_ids),
        strategy=request.strategy,
        activation=request.activation,
        guard_s=600,
    )
    row = store.DeploymentRow(request, info, [], None, closed=False)
    async with pool.acquire() as connection, connection.transaction():
        await device_store.upsert_devices(connection, device_ids, "nats", None, NOW)
        await store.insert_deployment(connection, row, fold(request.deployment_id, [opened]), [opened])
    return request.deployment_id


async def claim(pool: Pool, owner: str, limit: int = 10) -> list[Lease]:
    async with pool.acquire() as connection:
        return await leases.claim(connection, owner, limit, LEASE_S)


async def expire(pool: Pool) -> None:
    """As if nobody had renewed for long enough."""
    await pool.execute("UPDATE deploy.deployments SET lease_until = now() - interval '1 ms'")


async def journal(pool: Pool, lease: Lease, told: list[Sequence[LogEntry]] | None = None) -> Journal:
    async with pool.acquire() as connection:
        found = await store.load(connection, lease.deployment_id)
    assert found is not None
    row, entries = found
    news = told if told is not None else []
    state = fold(lease.deployment_id, entries)
    return Journal(pool, lease, row, state, len(entries), lambda _before, _after, added: news.append(added))


async def test_of_two_owners_one_gets_the_deployment(pool: Pool) -> None:
    """And the other gets it when the first has not renewed, with a higher fence, and is told so."""
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
    """The holder learns at its next renewal that another has taken the deployment."""
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
    """Without any answer of the database its holder stops before another could begin."""
    now = 100.0
    lease = Lease("dep", "one", 1, LEASE_S, valid_until=now + LEASE_S, clock=lambda: now)
    lease.require()
    now += LEASE_S
    with pytest.raises(LeaseLostError):
        lease.require()


async def test_a_given_back_deployment_waits_for_its_time_or_a_signal(pool: Pool) -> None:
    """Nobody holds it meanwhile."""
    deployment = await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        await leases.release(connection, lease, NOW + timedelta(days=1))
        assert await claim(pool, "two") == []
        signal = await mailbox.add_signal(connection, deployment, CANCEL)
        [again] = await claim(pool, "two")
        assert not again.taken_over
        await mailbox.drop_signals(connection, [signal])
        await leases.release(connection, again, NOW - timedelta(seconds=1))
    assert [each.deployment_id for each in await claim(pool, "three")] == [deployment]


async def test_who_dies_with_what_a_signal_began_is_replaced(pool: Pool) -> None:
    """The signal is taken and what follows from it is under way: another goes on now, not when the guard ends."""
    deployment = await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        await leases.release(connection, lease, datetime.now(UTC) + timedelta(minutes=10))
        signal_id = await mailbox.add_signal(connection, deployment, CANCEL)
        assert await claim(pool, "one")
        await mailbox.drop_signals(connection, [signal_id])
    await expire(pool)
    [successor] = await claim(pool, "two")
    assert successor.taken_over


async def test_a_stale_fence_cannot_write(pool: Pool) -> None:
    """The whole transaction fails: neither the log nor anything beside it changes."""
    deployment = await add(pool, ["a"])
    [first] = await claim(pool, "one")
    stale = await journal(pool, first)
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


async def test_what_comes_in_together_is_written_together(pool: Pool) -> None:
    """A thousand writers, a handful of transactions, one order; the log folds to the state in memory."""
    ids = [f"d{number:04d}" for number in range(1000)]
    await add(pool, ids)
    [lease] = await claim(pool, "one")
    told: list[Sequence[LogEntry]] = []
    writer = await journal(pool, lease, told)
    running = asyncio.create_task(writer.run())
    await writer.write(Locked(at=NOW, device_ids=ids), Became(at=NOW, status="checking"))

    async def check(device_id: str) -> None:
        from services.deploy.tests.test_saga_rules import intent, outcome

        await writer.write(intent("check", device_id))
        await writer.write(outcome("check", device_id), hello=hello(device_id))

    await asyncio.gather(*map(check, ids))
    running.cancel()
    assert len(told) < 50
    async with pool.acquire() as connection:
        found = await store.load(connection, lease.deployment_id)
        rows = await device_store.get_devices(connection, ids)
    assert found is not None
    assert fold(lease.deployment_id, found[1]) == writer.state
    assert all(row.hello for row in rows.values())


async def test_what_is_overtaken_is_told_to_its_writer_alone(pool: Pool) -> None:
    """The others' entries are written."""
    await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    writer = await journal(pool, lease)
    running = asyncio.create_task(writer.run())
    pause = Controlled(at=NOW, action="pause", by="anna")
    late = Outcome(at=NOW, device_id="a", step="stage", result="done")
    results = await asyncio.gather(writer.write(late), writer.write(pause), return_exceptions=True)
    assert isinstance(results[0], OvertakenError)
    assert results[1] is None
    assert writer.state.paused
    running.cancel()


async def test_devices_are_held_all_or_none_and_the_earlier_comes_first(pool: Pool) -> None:
    """The later deployment waits, and knows for whom; a third that asks for less does not overtake it."""
    first, second, third = [await add(pool, ids) for ids in (["a", "b"], ["b", "c"], ["c"])]
    held = {lease.deployment_id: lease for lease in await claim(pool, "one")}
    assert await locks.take_first(pool, held[second], ["b", "c"]) == Blocked([first])
    fence = held[first].fence
    assert await locks.take_first(pool, held[first], ["a", "b"]) == Taken(["a", "b"], [])
    assert held[first].fence > fence
    assert await locks.take_first(pool, held[third], ["c"]) == Blocked([second])
    async with pool.acquire() as connection:
        holdings = locks.DeviceHoldings()
        assert await holdings.holders(connection, ["a", "b", "c"]) == {"a": first, "b": first}
        assert await holdings.stages(connection, "a", bundle_info(1).bundle.sha256)
        assert not await holdings.stages(connection, "c", bundle_info(1).bundle.sha256)
        await pool.execute("UPDATE deploy.deployments SET status = 'succeeded' WHERE id = $1", first)
        await locks.unlock(connection, first, ["a", "b"])
    assert await locks.take_first(pool, held[second], ["b", "c"]) == Taken(["b", "c"], [])


async def test_everybody_asks_at_once_and_nobody_hangs(pool: Pool) -> None:
    """Twenty deployments to the same devices in other orders: exactly one holds them, none waits for a lock row."""
    ids = [f"d{number}" for number in range(10)]
    for number in range(20):
        await add(pool, ids[number % 10 :] + ids[: number % 10])
    held = await claim(pool, "one", 20)
    taken = await asyncio.wait_for(
        asyncio.gather(*(locks.take_first(pool, lease, ids) for lease in held)), timeout=60
    )
    assert len([each for each in taken if isinstance(each, Taken)]) == 1


async def test_what_a_later_deployment_decided_is_not_taken_back(pool: Pool) -> None:
    """Held again after a success: only devices that still should run the bundle."""
    deployment = await add(pool, ["a", "b"])
    [lease] = await claim(pool, "one")
    mine = bundle_info(1).bundle
    async with pool.acquire() as connection:
        ours = {"bundle_sha256": mine.sha256, "track_id": mine.track_id, "version": mine.version}
        running = hello("a", active=ours).active
        await device_store.set_expected(connection, {"a": running, "b": None})
    assert await locks.take_again(pool, lease, ["a", "b"], mine.sha256) == Taken(["a"], ["b"])
    assert deployment == lease.deployment_id


async def test_healing_holds_a_device_for_a_time(pool: Pool) -> None:
    """A deployment waits for it, but not for a healer that died."""
    await add(pool, ["a"])
    [lease] = await claim(pool, "one")
    async with pool.acquire() as connection:
        fence = await locks.hold_for_healing(connection, "a", 60)
        assert fence is not None
        assert fence > lease.fence
        assert await locks.hold_for_healing(connection, "a", 60) is None
        assert await locks.take_first(pool, lease, ["a"]) == Blocked([locks.HEALING])
        await connection.execute("UPDATE deploy.device_locks SET until = now() - interval '1 ms'")
    assert await locks.take_first(pool, lease, ["a"]) == Taken(["a"], [])
    async with pool.acquire() as connection:
        assert await locks.hold_for_healing(connection, "a", 60) is None


async def test_a_pause_that_nobody_has_taken_yet_can_be_resumed(pool: Pool) -> None:
    """Both wishes wait in their order; without the pause there is nothing to resume."""
    deployment_id = await add(pool, ["a"])
    questions = DeploymentQuestions(pool, lambda _: {}, lambda: datetime.now(UTC))
    resume = ControlDeployment(deployment_id=deployment_id, action="resume")
    with pytest.raises(AnswerError, match="nothing to resume"):
        await questions.control(resume)
    await questions.control(ControlDeployment(deployment_id=deployment_id, action="pause"))
    await questions.control(resume)
    async with pool.acquire() as connection:
        waiting = await mailbox.waiting_signals(connection, [deployment_id])
    actions = [
        each.signal.action for each in waiting[deployment_id] if isinstance(each.signal, ControlSignal)
    ]
    assert actions == ["pause", "resume"]
