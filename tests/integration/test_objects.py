"""The object store, on a real S3 server."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256

import httpx
import pytest
from prometheus_client import CollectorRegistry

from k1_platform.errors import TransientError
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore


async def _chunks(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024, 12_345_678])
async def test_a_stream_of_unknown_length_arrives_whole(objects: ObjectStore, unique: str, size: int) -> None:
    """Empty, small, exactly one part, and several parts."""
    data = os.urandom(size)
    await objects.put_stream(f"t/{unique}.bin", _chunks(data), "application/octet-stream")
    assert sha256(await objects.get_bytes(f"t/{unique}.bin")).digest() == sha256(data).digest()
    assert (await objects.stat(f"t/{unique}.bin")).size_bytes == size


@pytest.mark.parametrize("after", [0, 7_000_000])
async def test_a_stream_that_breaks_leaves_nothing(objects: ObjectStore, unique: str, after: int) -> None:
    """The error of the stream is raised, and no object is stored under the key."""

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(after // 1_000_000):
            yield bytes(1_000_000)
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError, match="went away"):
        await objects.put_stream(f"t/{unique}.bin", breaking(), "application/octet-stream")
    assert not await objects.exists(f"t/{unique}.bin")


async def test_a_missing_object_differs_from_a_failing_store(objects: ObjectStore, unique: str) -> None:
    """A missing key is a definite result; a store that cannot be reached is a transient error."""
    with pytest.raises(ObjectNotFoundError):
        await objects.get_bytes(f"t/{unique}")
    await objects.delete(f"t/{unique}")
    unreachable = ObjectStore(ObjectStoreSettings(url="http://127.0.0.1:9"))
    with pytest.raises(TransientError):
        await unreachable.get_bytes("t/x")
    unreachable.close()


async def test_calls_and_bytes_are_measured(provisioned: object, unique: str) -> None:
    """A missing object is an answer of the store; only a store that fails is an error."""
    registry = CollectorRegistry()
    store = ObjectStore(ObjectStoreSettings(), registry)
    await store.put_bytes(f"t/{unique}", bytes(1000), "application/octet-stream")
    await store.get_range(f"t/{unique}", 0, 10)
    with pytest.raises(ObjectNotFoundError):
        await store.get_bytes(f"t/{unique}/missing")
    store.close()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    calls = "k1_objects_request_seconds_count"
    assert value(calls, operation="put_object", outcome="ok") == 1
    assert value(calls, operation="get_object", outcome="ok") == 2
    assert value(calls, operation="get_object", outcome="error") is None
    directions = [value("k1_objects_bytes_total", direction=each) for each in ("sent", "received")]
    assert directions == [1000, 10]


async def test_a_signed_url_works_without_credentials(objects: ObjectStore, unique: str) -> None:
    """A client with the URL can read the object, and nothing else."""
    await objects.put_bytes(f"t/{unique}.json", b'{"a":1}', "application/json")
    url = objects.signed_url(f"t/{unique}.json", expires=timedelta(minutes=10))
    async with httpx.AsyncClient(timeout=60) as http:
        assert (await http.get(url)).json() == {"a": 1}
        assert (await http.get(url.split("?")[0])).status_code in (400, 403)


async def test_a_range_of_an_object(objects: ObjectStore, unique: str) -> None:
    """A range from the middle, the rest from an offset, and a range that is cut at the end."""
    await objects.put_bytes(f"t/{unique}.bin", bytes(range(100)), "application/octet-stream")
    assert await objects.get_range(f"t/{unique}.bin", 10, 5) == bytes(range(10, 15))
    assert await objects.get_range(f"t/{unique}.bin", 90, 0) == bytes(range(90, 100))
    assert await objects.get_range(f"t/{unique}.bin", 95, 50) == bytes(range(95, 100))
