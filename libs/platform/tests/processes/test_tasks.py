"""Tasks that are hard to end."""

import asyncio

import pytest

from k1_platform.processes.tasks import cancel_tasks, is_set_within, run_together

AGAIN_S = 0.05


async def stubborn(deafness: int) -> None:
    """Loses so many cancellations."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not deafness:
                raise
            deafness -= 1


async def begun(deafness: int) -> asyncio.Task[None]:
    task = asyncio.create_task(stubborn(deafness))
    await asyncio.sleep(0)
    return task


async def test_a_task_that_loses_cancellations_ends() -> None:
    tasks = [await begun(0), await begun(2)]
    async with asyncio.timeout(60):
        await cancel_tasks(tasks, AGAIN_S)
    assert all(task.cancelled() for task in tasks)


async def test_who_ends_tasks_and_is_cancelled_meanwhile_ends_them_first() -> None:
    task = await begun(2)
    ending = asyncio.create_task(cancel_tasks([task], AGAIN_S))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.cancelled()


async def test_the_first_to_fail_ends_the_others() -> None:
    other: list[asyncio.Task[None] | None] = []

    async def goes_on() -> None:
        other.append(asyncio.current_task())
        await stubborn(1)

    async def fails() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await run_together(goes_on(), fails(), interval_s=AGAIN_S)
    assert other[0] is not None
    assert other[0].cancelled()


async def test_together_they_end_when_stopped() -> None:
    """Also where one of them ignores its first cancellations."""
    running = asyncio.create_task(run_together(stubborn(2), stubborn(0), interval_s=AGAIN_S))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await cancel_tasks([running], AGAIN_S)
    assert running.cancelled()


async def test_waiting_for_an_event_says_whether_it_came() -> None:
    event = asyncio.Event()
    assert not await is_set_within(event, 0.0)
    asyncio.get_running_loop().call_soon(event.set)
    assert await is_set_within(event, 60.0)
    assert await is_set_within(event, None)


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_that_comes_with_the_event_is_not_lost(turns: int) -> None:
    """So many turns of the loop after it; `asyncio.wait_for` loses it before Python 3.12."""
    event = asyncio.Event()
    waiting = asyncio.create_task(is_set_within(event, 60.0))
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    in_time = waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled() == in_time
