"""Devices that trust other keys than the valid ones are told."""

import asyncio
from collections.abc import AsyncIterator, Callable

import nats
import pytest
from nats.aio.client import Client

from k1_contracts.messages.device_link import DeviceCommand, Trust, Verb
from k1_contracts.messages.graphs import KeySet, PublicKey
from k1_deploy.devices import trust
from k1_deploy.devices.link import DeviceLink
from k1_deploy.devices.trust import KEYS_KEPT_S, TrustedKeys, TrustKeeper
from k1_platform.nats_connection import connect_options
from k1_platform.rpc import AnswerError
from k1_platform.settings import NatsSettings
from services.deploy.tests.devices import ScriptedDevice, hello

PATIENCE_S = 60.0
KEYS = KeySet(
    keys=[PublicKey(kid="new", x="x"), PublicKey(kid="old", x="x")],
    document='{"keys":[...]}',
    signatures={"new": "aa", "old": "bb"},
)


class Catalogue:
    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    async def list_keys(self) -> KeySet:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise AnswerError("service_unavailable", "not running", 503)
        return KEYS


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
async def keeper(nats_client: Client, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> TrustKeeper:
    monkeypatch.setattr(trust, "TIMEOUT_S", PATIENCE_S)
    link = DeviceLink(nats_client)
    await link.start()
    return TrustKeeper(link, TrustedKeys(catalogue.list_keys))


@pytest.fixture
async def device(unique: str) -> AsyncIterator[ScriptedDevice]:
    async def obey(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, "done"))

    client = await nats.connect(**connect_options(NatsSettings()))
    yield await ScriptedDevice(client, unique, obey).listen()
    await client.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("trusted", [[], ["old"], ["older"], ["new", "old", "stolen"]])
async def test_a_device_with_other_keys_is_told(
    keeper: TrustKeeper, device: ScriptedDevice, trusted: list[str]
) -> None:
    """One that lacks a key, and one that still trusts a key that is valid no more."""
    keeper.heard(hello(device.id, key_ids=trusted))
    await until(lambda: not keeper._tasks)
    [(verb, command)] = device.commands
    assert isinstance(command, Trust)
    assert (verb, command.keys_document, command.signatures) == ("trust", KEYS.document, KEYS.signatures)


async def test_before_a_bundle_only_its_key_counts(keeper: TrustKeeper, device: ScriptedDevice) -> None:
    """A device that trusts the key is not told of others then; one that does not is told at once."""
    await keeper.prepare(hello(device.id, key_ids=["old"]), "old")
    assert device.commands == []
    await keeper.prepare(hello(device.id, key_ids=["old"]), "new")
    assert [verb for verb, _ in device.commands] == ["trust"]


async def test_a_device_with_the_same_keys_is_left_alone(keeper: TrustKeeper, device: ScriptedDevice) -> None:
    """In whatever order it lists them."""
    keeper.heard(hello(device.id, key_ids=["old", "new"]))
    await until(lambda: not keeper._tasks)
    assert device.commands == []


async def test_each_telling_is_a_command_of_its_own(keeper: TrustKeeper, device: ScriptedDevice) -> None:
    """Keys that come back after others must not be answered from the device's memory."""
    for _ in range(2):
        keeper.heard(hello(device.id))
    await until(lambda: not keeper._tasks)
    first, second = (command.command_id for _, command in device.commands)
    assert first != second


async def test_what_fails_waits_for_the_next_hello(
    keeper: TrustKeeper, catalogue: Catalogue, device: ScriptedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    """A catalogue or a device that is away is told of in the log, and nothing else happens."""
    catalogue.away = True
    keeper.heard(hello(device.id))
    await until(lambda: not keeper._tasks)
    catalogue.away = False
    keeper.heard(hello(f"{device.id}-away"))
    await until(lambda: not keeper._tasks)
    reasons = [record.reason for record in caplog.records if record.message == "keys not told"]  # type: ignore[attr-defined]
    assert reasons == ["not running", f"device {device.id}-away is not connected"]
    keeper.heard(hello(device.id))
    await until(lambda: device.commands)


async def test_many_ask_once() -> None:
    """A thousand hellos at once are one question, and the answer is kept for a while and no longer."""
    catalogue, now = Catalogue(), [0.0]
    keys = TrustedKeys(catalogue.list_keys, lambda: now[0])
    assert await asyncio.gather(*(keys.get() for _ in range(1000))) == [KEYS] * 1000
    assert catalogue.asked == 1
    now[0] = KEYS_KEPT_S + 1
    await keys.get()
    assert catalogue.asked == 2


async def test_a_key_that_is_newer_than_what_was_kept_is_asked_for() -> None:
    """However new what was kept is, but not by each of a thousand devices, where it is nobody's."""
    catalogue, now = Catalogue(), [0.0]
    keys = TrustedKeys(catalogue.list_keys, lambda: now[0])
    await keys.get()
    now[0] = 0.001
    await keys.get("new")
    assert catalogue.asked == 1
    await asyncio.gather(*(keys.get("made just now") for _ in range(1000)))
    assert catalogue.asked == 2
