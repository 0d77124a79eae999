"""Devices that trust other keys than the valid ones are updated."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from k1_contracts.messages.catalogue.graphs import KeySet, PublicKey
from k1_contracts.messages.deploy.device_link import DeviceCommand, Trust, Verb
from k1_deploy.devices.device_link import trusted_keys
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.devices.device_link.trusted_keys import MAX_AGE_S, TrustedKeyCache, TrustUpdater
from k1_platform.nats.queries.rpc import QueryError
from services.deploy.tests.scripted_device import ScriptedDevice, hello
from tests.support.bus import connected_client
from tests.support.waiting import PATIENCE_S, eventually

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
            raise QueryError("service_unavailable", "not running", 503)
        return KEYS


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
async def updater(nats_client: Client, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> TrustUpdater:
    monkeypatch.setattr(trusted_keys, "TIMEOUT_S", PATIENCE_S)
    link = DeviceLink(nats_client)
    await link.start()
    return TrustUpdater(link, TrustedKeyCache(catalogue.list_keys))


@pytest.fixture
async def device(unique: str) -> AsyncIterator[ScriptedDevice]:
    async def obey(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, "done"))

    async with connected_client() as client:
        yield await ScriptedDevice(client, unique, obey).listen()


@pytest.mark.parametrize("trusted", [[], ["old"], ["older"], ["new", "old", "stolen"]])
async def test_a_device_with_other_keys_is_updated(
    updater: TrustUpdater, device: ScriptedDevice, trusted: list[str]
) -> None:
    """One that lacks a key, and one that still trusts a key that is not valid any more."""
    updater.handle_hello(hello(device.id, key_ids=trusted))
    await eventually(lambda: not updater._tasks, "every update has ended", interval_s=0.005)
    [(verb, command)] = device.commands
    assert isinstance(command, Trust)
    assert (verb, command.keys_document, command.signatures) == ("trust", KEYS.document, KEYS.signatures)


async def test_before_a_bundle_only_its_key_matters(updater: TrustUpdater, device: ScriptedDevice) -> None:
    """A device that trusts the key gets no others then; one that does not is updated at once."""
    await updater.ensure_trusted(hello(device.id, key_ids=["old"]), "old")
    assert device.commands == []
    await updater.ensure_trusted(hello(device.id, key_ids=["old"]), "new")
    assert [verb for verb, _ in device.commands] == ["trust"]


async def test_a_device_with_the_same_keys_is_left_alone(
    updater: TrustUpdater, device: ScriptedDevice
) -> None:
    """In whatever order it lists them."""
    updater.handle_hello(hello(device.id, key_ids=["old", "new"]))
    await eventually(lambda: not updater._tasks, "every update has ended", interval_s=0.005)
    assert device.commands == []


async def test_each_update_has_a_new_command_id(updater: TrustUpdater, device: ScriptedDevice) -> None:
    """A repeated id would get the reply to the keys before."""
    for _ in range(2):
        updater.handle_hello(hello(device.id))
    await eventually(lambda: not updater._tasks, "every update has ended", interval_s=0.005)
    first, second = (command.command_id for _, command in device.commands)
    assert first != second


async def test_a_failed_update_waits_for_the_next_hello(
    updater: TrustUpdater, catalogue: Catalogue, device: ScriptedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    """An unavailable catalogue or device is logged, and nothing else happens."""
    catalogue.away = True
    updater.handle_hello(hello(device.id))
    await eventually(lambda: not updater._tasks, "every update has ended", interval_s=0.005)
    catalogue.away = False
    updater.handle_hello(hello(f"{device.id}-away"))
    await eventually(lambda: not updater._tasks, "every update has ended", interval_s=0.005)
    reasons = [
        vars(record)["reason"] for record in caplog.records if record.message == "trusted keys not sent"
    ]
    assert reasons == ["not running", f"device {device.id}-away is not connected"]
    updater.handle_hello(hello(device.id))
    await eventually(lambda: device.commands, "a command to the device", interval_s=0.005)


async def test_concurrent_queries_are_one() -> None:
    """A thousand hellos at once cause one query, and the response is cached for a limited time."""
    catalogue, now = Catalogue(), [0.0]
    keys = TrustedKeyCache(catalogue.list_keys, lambda: now[0])
    assert await asyncio.gather(*(keys.get() for _ in range(1000))) == [KEYS] * 1000
    assert catalogue.asked == 1
    now[0] = MAX_AGE_S + 1
    await keys.get()
    assert catalogue.asked == 2


async def test_a_key_that_is_newer_than_the_cache_is_fetched() -> None:
    """However new the cache is, but not for each of a thousand devices if the key is unknown."""
    catalogue, now = Catalogue(), [0.0]
    keys = TrustedKeyCache(catalogue.list_keys, lambda: now[0])
    await keys.get()
    now[0] = 0.001
    await keys.get("new")
    assert catalogue.asked == 1
    await asyncio.gather(*(keys.get("made just now") for _ in range(1000)))
    assert catalogue.asked == 2
