"""Streaming into a store that fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from k1_platform.errors import TransientError
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore


async def test_a_store_that_is_gone_ends_the_stream_before_its_end() -> None:
    """Nobody sends the rest of a large file to a store that has already failed."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1024 * 1024)

    store = ObjectStore(ObjectStoreSettings(url="http://127.0.0.1:9"))
    try:
        async with asyncio.timeout(120):
            with pytest.raises(TransientError):
                await store.put_stream("t/endless", endless(), "application/octet-stream")
    finally:
        store.close()
