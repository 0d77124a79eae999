"""The frame of a service."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from k1_platform import service


@pytest.mark.parametrize(("leave_s", "leaves_well"), [(600.0, True), (0.01, False)])
async def test_work_has_its_time_to_leave(leave_s: float, leaves_well: bool) -> None:
    """It is cancelled once, and again only when its time is over."""
    begun, left = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.3)
            left.set()

    async with AsyncExitStack() as cleanup:
        service._run_in_background("work", work, leave_s, cleanup)
        await begun.wait()
    assert left.is_set() == leaves_well
