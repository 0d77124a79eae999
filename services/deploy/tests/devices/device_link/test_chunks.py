"""Chunks of bundles over the link, on a real server and store."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.deploy.bundles import bundle_key
from k1_contracts.messages.deploy.device_link import CHUNK_MAX_BYTES, FetchChunk, RunningBundle
from k1_deploy.devices import device_store
from k1_deploy.devices.device_link.chunk_requests import MAX_WAITING, ChunkRequests
from k1_deploy.devices.device_link.chunks import BundleCache, ChunkServer
from k1_platform.nats.device_errors import DeviceErrors
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.deploy.tests.deployment_lookup import FakeDeploymentLookup
from tests.support.bus import connected_client, flush
from tests.support.waiting import PATIENCE_S, eventually

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DATA = bytes(range(256)) * 700
SHA256 = hashlib.sha256(DATA).hexdigest()


class CountingStore(ObjectStore):
    """The real store, counting what is read."""

    reads = 0

    async def get_bytes(self, key: str) -> bytes:
        self.reads += 1
        return await super().get_bytes(key)


@pytest.fixture
def lookup() -> FakeDeploymentLookup:
    return FakeDeploymentLookup()


@pytest.fixture
async def cache(objects: ObjectStore) -> BundleCache:
    await objects.put_bytes(bundle_key(SHA256), DATA, "application/cbor")
    objects.__class__ = CountingStore
    return BundleCache(objects)


@pytest.fixture
async def serving(
    broker: NatsBroker, pool: Pool, cache: BundleCache, lookup: FakeDeploymentLookup, unique: str
) -> str:
    """The id of a device that should run the bundle, while requests are served."""
    async with pool.acquire() as connection:
        await device_store.insert_devices(connection, [unique, f"{unique}-b"], "nats", None, NOW)
        await device_store.set_expected(connection, {unique: RunningBundle(bundle_sha256=SHA256)})
    client = await broker.connect()
    errors = DeviceErrors(client)
    chunks = ChunkServer(pool, client, cache, lookup, errors)
    await ChunkRequests(client, chunks, errors, asyncio.Semaphore(16)).start()
    await flush(client)
    return unique


@pytest.fixture
async def device(serving: str) -> AsyncIterator[Client]:
    """A connection with the permissions of the device."""
    async with connected_client(inbox_prefix=f"_INBOX.{serving}".encode()) as client:
        yield client


def request(offset: int = 0, length: int = CHUNK_MAX_BYTES, sha256: str = SHA256) -> FetchChunk:
    return FetchChunk(request_id=f"r{offset}", bundle_sha256=sha256, offset=offset, length=length)


async def fetch(
    device: Client, device_id: str, wanted: FetchChunk, timeout_s: float = PATIENCE_S
) -> tuple[dict[str, object], bytes]:
    answer = await device.request(subjects.device(device_id, "fetch"), wanted.to_json(), timeout=timeout_s)
    return split(answer)


def split(answer: Msg) -> tuple[dict[str, object], bytes]:
    header, _, data = answer.data.partition(b"\n")
    return json.loads(header), data


async def test_the_whole_bundle_in_chunks(device: Client, serving: str) -> None:
    """The concatenated chunks are the bundle; the last one is shorter."""
    collected = b""
    while len(collected) < len(DATA):
        header, data = await fetch(device, serving, request(len(collected)))
        assert header == {
            "request_id": f"r{len(collected)}",
            "bundle_sha256": SHA256,
            "offset": len(collected),
            "length": len(data),
        }
        collected += data
    assert collected == DATA


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 1, 10**12])
async def test_an_offset_beyond_the_end(device: Client, serving: str, offset: int) -> None:
    """There are no bytes, and the reply says so."""
    header, data = await fetch(device, serving, request(offset))
    assert (header["length"], data) == (0, b"")
    assert f"has {len(DATA)} bytes" in str(header["error"])


async def test_a_bundle_that_the_device_may_not_have(
    device: Client, serving: str, pool: Pool, lookup: FakeDeploymentLookup
) -> None:
    """A device gets only what it stages or should run; a revoked or unknown device gets nothing."""
    other = f"{serving}-b"

    async def may(device_id: str, sha256: str = SHA256) -> str | None:
        header, _ = await fetch(device, device_id, request(sha256=sha256))
        return str(header["error"]) if header.get("error") else None

    # Their answers do not come to this device's inbox.
    answers = await device.subscribe(f"command.{other}.chunk")
    await flush(device)

    async def other_may() -> str | None:
        await device.publish(subjects.device(other, "fetch"), request().to_json())
        header, _ = split(await answers.next_msg(timeout=PATIENCE_S))
        return str(header["error"]) if header.get("error") else None

    assert await may(serving) is None
    assert "not told to stage" in (await other_may() or "")
    lookup.staging.add((other, SHA256))
    assert await other_may() is None
    lookup.staging.add((serving, "0" * 64))
    assert "no such bundle" in (await may(serving, "0" * 64) or "")
    async with pool.acquire() as connection:
        await device_store.set_revoked(connection, [serving], NOW)
    assert "not told to stage" in (await may(serving) or "")


async def test_a_device_does_not_choose_where_we_publish(device: Client, serving: str) -> None:
    """A reply subject outside its inbox is not used: the chunk goes to its command subject."""
    traps = [
        subjects.command("victim", "activate"),
        "rpc.deploy.device.add",
        f"_INBOX.{serving}x.1",
        "_INBOX.other.1",
    ]
    caught: list[str] = []

    async def note(message: Msg) -> None:
        caught.append(message.subject)

    for trap in traps:
        await device.subscribe(trap, cb=note)
    answers = await device.subscribe(subjects.command(serving, "chunk"))
    await flush(device)
    for trap in traps:
        await device.publish(subjects.device(serving, "fetch"), request().to_json(), reply=trap)
        header, _ = split(await answers.next_msg(timeout=PATIENCE_S))
        assert header["request_id"] == "r0"
    await flush(device)
    assert caught == []


async def test_invalid_requests_are_ignored(device: Client, serving: str) -> None:
    """An invalid request gets no reply, and the next valid one does."""
    for data in (b"", b"{}", b"\xff", b'{"request_id":"","bundle_sha256":"x","offset":-1,"length":0}'):
        await device.publish(subjects.device(serving, "fetch"), data, reply=device.new_inbox())
    header, data = await fetch(device, serving, request(0, 10))
    assert (header["length"], data) == (10, DATA[:10])


async def test_a_device_that_floods_requests_gets_its_share(device: Client, serving: str) -> None:
    """Of very many requests at once some are served and the others rejected, with a reason; the next one is served."""
    answered: list[bytes] = []

    async def note(message: Msg) -> None:
        answered.append(message.data)

    inbox = device.new_inbox()
    await device.subscribe(inbox, cb=note)
    errors = await device.subscribe(subjects.command(serving, "error"))
    await flush(device)
    for _ in range(2000):
        await device.publish(subjects.device(serving, "fetch"), request(0, 10).to_json(), reply=inbox)
    error = json.loads((await errors.next_msg(timeout=PATIENCE_S)).data)
    assert (error["code"], error["subject"]) == ("too_many", subjects.device(serving, "fetch"))
    assert f"More than {MAX_WAITING} requests" in error["message"]

    async def fetch_again() -> bytes:
        _, data = await fetch(device, serving, request(0, 20), timeout_s=0.5)
        return data

    # The request may come before those that wait have their responses.
    data = await eventually(fetch_again, "a chunk for a later request", retry_on=(TimeoutError,))
    assert data == DATA[:20]
    assert len(answered) < 2000


async def test_a_hundred_devices_at_once(
    device: Client, serving: str, pool: Pool, cache: BundleCache, lookup: FakeDeploymentLookup
) -> None:
    """All get the whole bundle; the store was read once."""
    ids = [f"{serving}-{number}" for number in range(100)]
    async with pool.acquire() as connection:
        await device_store.insert_devices(connection, ids, "nats", None, NOW)
    lookup.staging |= {(device_id, SHA256) for device_id in ids}
    heads = {device_id: await device.subscribe(subjects.command(device_id, "chunk")) for device_id in ids}

    async def whole(device_id: str) -> bytes:
        collected = b""
        while len(collected) < len(DATA):
            await device.publish(subjects.device(device_id, "fetch"), request(len(collected)).to_json())
            _, data = split(await heads[device_id].next_msg(timeout=60))
            assert data
            collected += data
        return collected

    assert set(await asyncio.gather(*map(whole, ids))) == {DATA}
    assert isinstance(cache.objects, CountingStore)
    assert cache.objects.reads == 1
