"""The life of a device on the running service: added, connected, refused, revoked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from k1_contracts import streams, subjects
from k1_contracts.messages.catalogue.graphs import KEY_LIST, KeySet, ListKeys, PublicKey
from k1_contracts.messages.deploy.device_link import DeviceError, DeviceHello, DeviceReply, Trust
from k1_contracts.messages.deploy.devices import (
    DEVICE_ADD,
    DEVICE_GET,
    DEVICE_REVOKE,
    AddDevices,
    DeviceCredential,
    DevicesAdded,
    DeviceView,
    GetDevice,
    RevokeDevices,
)
from k1_contracts.messages.telemetry import Presence
from k1_platform.nats.dead_letters.queue import list_dead_letters
from k1_platform.nats.queries.rpc import QueryError, QueryHandler, request, respond
from k1_platform.settings import NatsSettings
from services.deploy.tests.scripted_device import bundle, hello
from tests.support.bus import connected_client, flush
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEYS = KeySet(keys=[PublicKey(kid="a" * 16, x="x")], document='{"keys":["one"]}', signatures={"a" * 16: "00"})


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running deploy process that can issue credentials."""
    if "K1_DEPLOY_NATS_KEYS" not in migrated.environment:
        pytest.skip("these servers have no operator")
    with running_service("deploy", migrated.environment, tmp_path_factory.mktemp("deploy")):
        yield


@pytest.fixture
async def bus(service: None, broker: NatsBroker) -> NatsBroker:
    """A connection of another service; the catalogue's query for keys gets a response."""

    async def list_keys(_: ListKeys) -> KeySet:
        return KEYS

    respond(broker, [QueryHandler(KEY_LIST, list_keys)])
    await broker.start()
    await flush(await broker.connect())
    return broker


@asynccontextmanager
async def connected(credential: DeviceCredential, folder: Path) -> AsyncIterator[Client]:
    """Connect once as the device does, with the credential that it got."""
    file = folder / f"{credential.device_id}.creds"
    file.write_text(credential.secret)
    async with connected_client(
        NatsSettings(creds=file),
        inbox_prefix=f"_INBOX.{credential.device_id}".encode(),
        allow_reconnect=False,
        connect_timeout=PATIENCE_S,
    ) as client:
        yield client


async def added(bus: NatsBroker, device_id: str) -> DevicesAdded:
    question = AddDevices(device_ids=[device_id])
    return await request(bus, DEVICE_ADD, question, timeout_s=PATIENCE_S)


async def view(bus: NatsBroker, device_id: str) -> DeviceView:
    question = GetDevice(device_id=device_id)
    return await request(bus, DEVICE_GET, question, timeout_s=PATIENCE_S)


async def say_hello(client: Client, body: DeviceHello, as_id: str | None = None) -> None:
    await client.publish(subjects.device(as_id or body.id, "hello"), body.to_json())
    await flush(client)


async def test_the_life_of_a_device_from_adding_to_revoking(
    bus: NatsBroker, unique: str, tmp_path: Path
) -> None:
    """It connects with its credential, its hello is stored, it gets new keys; once revoked it is disconnected."""
    respond = await added(bus, unique)
    assert respond.trusted_keys == KEYS.document
    recorder: asyncio.Queue[Trust] = asyncio.Queue()
    async with connected(respond.credentials[0], tmp_path) as device:

        async def obey(message: Msg) -> None:
            command = Trust.model_validate_json(message.data)
            done = DeviceReply(command_id=command.command_id, device_id=unique, verb="trust", status="done")
            await message.respond(done.to_json())
            recorder.put_nowait(command)

        await device.subscribe(subjects.command(unique, "trust"), cb=obey)
        await flush(device)
        await say_hello(device, hello(unique, active=bundle(1)))

        async def seen() -> bool:
            return (await view(bus, unique)).running == bundle(1)

        await eventually(seen, "the hello is stored")
        assert (await view(bus, unique)).expected == bundle(1)
        assert (await asyncio.wait_for(recorder.get(), PATIENCE_S)).keys_document == KEYS.document
        revoke = RevokeDevices(device_ids=[unique])
        assert await request(bus, DEVICE_REVOKE, revoke, timeout_s=PATIENCE_S)
        await eventually(lambda: device.is_closed, "the device is disconnected")
    assert (await view(bus, unique)).revoked_at


async def test_presence_is_visible(bus: NatsBroker, unique: str, jetstream: JetStreamContext) -> None:
    """What the telemetry service writes is visible at once; without an entry a device is offline."""
    await added(bus, unique)
    assert (await view(bus, unique)).online is False
    bucket = await jetstream.key_value(streams.PRESENCE.name)
    entry = Presence(device_id=unique, online_since=NOW, last_seen=NOW).to_json()

    async def online() -> bool:
        await bucket.put(unique, entry)  # again, as telemetry does: an entry expires after seconds
        return (await view(bus, unique)).online

    await eventually(online, "the device is online")


async def test_invalid_hellos(bus: NatsBroker, unique: str, jetstream: JetStreamContext) -> None:
    """The device gets an error for each; one of an unknown device is a dead letter; the next good one is stored."""
    await added(bus, unique)
    client = await bus.connect()
    errors: list[tuple[str, str | None]] = []

    async def take(message: Msg) -> None:
        error = DeviceError.model_validate_json(message.data)
        errors.append((error.code, error.field))

    for device in (unique, f"{unique}-x"):
        await client.subscribe(subjects.command(device, "error"), cb=take)
    await client.flush()
    await client.publish(subjects.device(unique, "hello"), b"no hello")
    await say_hello(client, hello("another"), as_id=unique)
    await say_hello(client, hello(f"{unique}-x"))
    await say_hello(client, hello(unique, model="good"))

    async def kept() -> bool:
        return (await view(bus, unique)).model == "good"

    async def is_dead_letter() -> bool:
        letters = await list_dead_letters(jetstream)
        codes = {letter.code for letter in letters if unique in letter.subject and letter.attempts == 1}
        return codes == {"unknown_device"}

    async def reported() -> bool:
        return sorted(errors) == [("invalid_json", None), ("unknown_device", None), ("wrong_id", "id")]

    await eventually(kept, "the good hello is stored")
    await eventually(is_dead_letter, "a dead letter of the unknown device")
    await eventually(reported, "an error for each invalid hello")
    await client.publish(subjects.device(unique, "reply"), b'{"command_id":1}')
    await client.publish(subjects.device(unique, "fetch"), b'{"request_id":"r"}')

    async def all_reported() -> bool:
        return sorted(errors)[:2] == [("invalid_field", "bundle_sha256"), ("invalid_field", "command_id")]

    await eventually(all_reported, "an error for each invalid message")


async def test_an_unknown_device(bus: NatsBroker) -> None:
    """The error of deploy reaches the caller."""
    with pytest.raises(QueryError) as refused:
        await view(bus, "nobody")
    assert (refused.value.code, refused.value.status) == ("device_not_found", 404)
