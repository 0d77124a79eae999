"""Bundles over the link, on a real server and store."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import nats
import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.bundles import bundle_key
from k1_contracts.messages.device_link import CHUNK_MAX_BYTES, FetchChunk, RunningBundle
from k1_deploy.devices import device_store
from k1_deploy.devices.chunks import BundleCache, Chunks
from k1_deploy.devices.fetch_intake import MOST_WAITING, FetchIntake
from k1_platform.database import Pool
from k1_platform.device_errors import DeviceErrors
from k1_platform.nats_connection import connect_options
from k1_platform.objects import ObjectStore
from k1_platform.settings import NatsSettings
from services.deploy.tests.holdings import FixedHoldings
from services.deploy.tests.links import settle

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DATA = bytes(range(256)) * 700
SHA256 = hashlib.sha256(DATA).hexdigest()
PATIENCE_S = 60.0


class CountingStore(ObjectStore):
    """The real store, counting what is read."""

    reads = 0

    async def get_bytes(self, key: str) -> bytes:
        self.reads += 1
        return await super().get_bytes(key)


@pytest.fixture
def holdings() -> FixedHoldings:
    return FixedHoldings()


@pytest.fixture
async def cache(objects: ObjectStore) -> BundleCache:
    await objects.put_bytes(bundle_key(SHA256), DATA, "application/cbor")
    objects.__class__ = CountingStore
    return BundleCache(objects)


@pytest.fixture
async def serving(
    broker: NatsBroker, pool: Pool, cache: BundleCache, holdings: FixedHoldings, unique: str
) -> str:
    """The id of a device that should run the bundle, while fetches are answered."""
    async with pool.acquire() as connection:
        await device_store.insert_devices(connection, [unique, f"{unique}-b"], "nats", None, NOW)
        await device_store.set_expected(connection, {unique: RunningBundle(bundle_sha256=SHA256)})
    client = await broker.connect()
    errors = DeviceErrors(client)
    chunks = Chunks(pool, client, cache, holdings, errors)
    await FetchIntake(client, chunks, errors, asyncio.Semaphore(16)).start()
    await settle(client)
    return unique


@pytest.fixture
async def device(serving: str) -> AsyncIterator[Client]:
    """A connection whose inboxes are the device's."""
    options = connect_options(NatsSettings())
    client = await nats.connect(**options, inbox_prefix=f"_INBOX.{serving}".encode())
    yield client
    await client.close()


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


async def test_the_whole_bundle_part_by_part(device: Client, serving: str) -> None:
    """The parts put together are the bundle; the last one is shorter."""
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
async def test_beyond_the_end(device: Client, serving: str, offset: int) -> None:
    """There is nothing, and the answer says so."""
    header, data = await fetch(device, serving, request(offset))
    assert (header["length"], data) == (0, b"")
    assert f"has {len(DATA)} bytes" in str(header["error"])


async def test_not_its_bundle(device: Client, serving: str, pool: Pool, holdings: FixedHoldings) -> None:
    """Only what it is told to stage or should run; a revoked device and one that nobody knows get nothing."""
    other = f"{serving}-b"

    async def may(device_id: str, sha256: str = SHA256) -> str | None:
        header, _ = await fetch(device, device_id, request(sha256=sha256))
        return header.get("error") and str(header["error"])  # type: ignore[return-value]

    # Their answers do not come to this device's inbox.
    answers = await device.subscribe(f"command.{other}.chunk")
    await settle(device)

    async def other_may() -> str | None:
        await device.publish(subjects.device(other, "fetch"), request().to_json())
        header, _ = split(await answers.next_msg(timeout=PATIENCE_S))
        return header.get("error") and str(header["error"])  # type: ignore[return-value]

    assert await may(serving) is None
    assert "not told to stage" in (await other_may() or "")
    holdings.staging.add((other, SHA256))
    assert await other_may() is None
    holdings.staging.add((serving, "0" * 64))
    assert "no such bundle" in (await may(serving, "0" * 64) or "")
    async with pool.acquire() as connection:
        await device_store.set_revoked(connection, [serving], NOW)
    assert "not told to stage" in (await may(serving) or "")


async def test_a_device_does_not_choose_where_we_publish(device: Client, serving: str) -> None:
    """A reply subject that is not its own inbox is not used: the answer goes where its answers go."""
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
    await settle(device)
    for trap in traps:
        await device.publish(subjects.device(serving, "fetch"), request().to_json(), reply=trap)
        header, _ = split(await answers.next_msg(timeout=PATIENCE_S))
        assert header["request_id"] == "r0"
    await settle(device)
    assert caught == []


async def test_garbage_is_passed_over(device: Client, serving: str) -> None:
    """What is no request gets no answer, and the next one does."""
    for data in (b"", b"{}", b"\xff", b'{"request_id":"","bundle_sha256":"x","offset":-1,"length":0}'):
        await device.publish(subjects.device(serving, "fetch"), data, reply=device.new_inbox())
    header, data = await fetch(device, serving, request(0, 10))
    assert (header["length"], data) == (10, DATA[:10])


async def test_a_device_that_asks_without_end_gets_its_share(device: Client, serving: str) -> None:
    """Of very many requests at once some are answered and the others refused, with a reason; the next one is answered."""
    answered: list[bytes] = []

    async def note(message: Msg) -> None:
        answered.append(message.data)

    inbox = device.new_inbox()
    await device.subscribe(inbox, cb=note)
    errors = await device.subscribe(subjects.command(serving, "error"))
    await settle(device)
    for _ in range(2000):
        await device.publish(subjects.device(serving, "fetch"), request(0, 10).to_json(), reply=inbox)
    error = json.loads((await errors.next_msg(timeout=PATIENCE_S)).data)
    assert (error["code"], error["subject"]) == ("too_many", subjects.device(serving, "fetch"))
    assert f"More than {MOST_WAITING} requests" in error["message"]
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while not data:  # it may come before those that wait are answered
            with suppress(TimeoutError):
                _, data = await fetch(device, serving, request(0, 20), timeout_s=0.5)
    assert data == DATA[:20]
    assert len(answered) < 2000


async def test_a_hundred_devices_at_once(
    device: Client, serving: str, pool: Pool, cache: BundleCache, holdings: FixedHoldings
) -> None:
    """All get the whole bundle; the store was read once."""
    ids = [f"{serving}-{number}" for number in range(100)]
    async with pool.acquire() as connection:
        await device_store.insert_devices(connection, ids, "nats", None, NOW)
    holdings.staging |= {(device_id, SHA256) for device_id in ids}
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
    assert cache._objects.reads == 1  # type: ignore[attr-defined]
