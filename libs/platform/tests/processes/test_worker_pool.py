"""Worker processes: a bad job ends one of them, never the pool."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from multiprocessing import forkserver

import psutil
import pytest

from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkerLimits, WorkError
from libs.platform.tests.processes.worker_jobs import work
from tests.support.processes import is_alive
from tests.support.waiting import eventually

GENEROUS = WorkerLimits(timeout_s=120, memory_bytes=600 << 20, address_space_bytes=4 << 30)


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(work, size=1, limits=GENEROUS, recycle_after=3)
    pool.start()
    yield pool
    pool.close()


async def test_a_job_gives_its_result_and_its_progress(pool: WorkerPool) -> None:
    """The result comes back, and what the job reported on its way."""
    seen: list[str] = []
    assert await pool.run({"do": "add", "a": 2, "b": 3}, seen.append) == 5
    assert seen == ["adding"]


async def test_an_exception_keeps_its_code_and_the_process(pool: WorkerPool) -> None:
    """Work that raises is reported with its code; the same process goes on."""
    before = await pool.run({"do": "pid"})
    with pytest.raises(WorkError, match="the song is bad") as raised:
        await pool.run({"do": "raise"})
    assert raised.value.code == "bad_song"
    assert await pool.run({"do": "pid"}) == before


@pytest.mark.parametrize(
    ("job", "code", "text"),
    [
        ("crash", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 3"),
        ("huge", "out_of_memory", "memory"),
    ],
)
async def test_a_dying_process_is_reported_and_replaced(
    pool: WorkerPool, job: str, code: str, text: str
) -> None:
    """A crash, an exit and an impossible allocation each have their code; the next job works."""
    with pytest.raises(WorkerFailedError, match=text) as raised:
        await pool.run({"do": job})
    assert raised.value.code == code
    assert await pool.run({"do": "add", "a": 1, "b": 1}) == 2


async def test_how_a_process_has_ended_is_reported_however_late(pool: WorkerPool) -> None:
    """The process that waits for it may be held up; the parent goes on meanwhile."""
    await pool.run({"do": "pid"})
    server: int = vars(forkserver._forkserver)["_forkserver_pid"]
    os.kill(server, signal.SIGSTOP)
    try:
        running = asyncio.ensure_future(pool.run({"do": "exit"}))
        done, _ = await asyncio.wait({running}, timeout=1.5)
    finally:
        os.kill(server, signal.SIGCONT)
    assert not done
    with pytest.raises(WorkerFailedError, match="exit code 3"):
        await running


async def test_a_hanging_process_is_killed_in_time() -> None:
    """A job that outlasts its time ends as timed_out."""
    pool = WorkerPool(work, size=1, limits=WorkerLimits(timeout_s=0.3, memory_bytes=1 << 30), recycle_after=9)
    pool.start()
    with pytest.raises(WorkerFailedError) as raised:
        await pool.run({"do": "hang"})
    assert raised.value.code == "timed_out"
    pool.close()


async def test_a_memory_bomb_is_killed() -> None:
    """Growing past the limit ends as out_of_memory, long before the machine suffers."""
    pool = WorkerPool(
        work, size=1, limits=WorkerLimits(timeout_s=120, memory_bytes=200 << 20), recycle_after=9
    )
    pool.start()
    with pytest.raises(WorkerFailedError) as raised:
        await pool.run({"do": "bomb"})
    assert raised.value.code == "out_of_memory"
    pool.close()


async def test_cancelling_kills_the_process_and_what_it_started(pool: WorkerPool) -> None:
    """A cancelled job leaves no process behind, grandchildren included."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(pool.run({"do": "orphan"}, started.set_result))
    grandchild = psutil.Process(await started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not is_alive(grandchild), "the process of the killed worker has ended")
    assert await pool.run({"do": "add", "a": 4, "b": 4}) == 8


async def test_a_process_is_renewed_after_its_share_of_jobs(pool: WorkerPool) -> None:
    """After `recycle_after` jobs another process takes over."""
    pids = [await pool.run({"do": "pid"}) for _ in range(4)]
    assert len(set(pids[:3])) == 1
    assert pids[3] != pids[0]


async def test_a_process_killed_from_outside_is_replaced(pool: WorkerPool) -> None:
    """kill -9 of an idle process is noticed before the next job is given to it."""
    pid = await pool.run({"do": "pid"})
    os.kill(pid, 9)
    await eventually(lambda: pid not in pool.pids, "the pool has noticed the end of the worker")
    assert await pool.run({"do": "pid"}) != pid
