"""Tests the link of a device to a real server: joining, leaving, coming back, and what it refuses."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import DeviceBye, DeviceHello, Ping, Transport
from k1_platform.settings import NatsSettings
from k1_simulator.fleet import Fleet, FleetError
from k1_simulator.fleet_context import Servers
from k1_simulator.identity import anonymous
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet
from simulator.tests.link_support import active, both, listen, name
from simulator.tests.shows import KEY, STRANGER, jwk_set, kid
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import PATIENCE_S, eventually


async def newest(jetstream: JetStreamContext, subject: str) -> bytes:
    """Return the last message on a subject in the stream of devices; it may still be on its way."""
    message = await eventually(
        lambda: jetstream.get_last_msg("DEVICES", subject),
        f"a message on {subject}",
        interval_s=0.01,
        retry_on=(NotFoundError, NatsTimeoutError),
    )
    return message.data or b""


async def wait_for_no_responders(client: Client, device: str) -> None:
    """Wait until the server reports no responders; before that a command may be lost."""

    async def has_no_responders() -> bool:
        try:
            await client.request(subjects.command(device, "ping"), b"{}", timeout=0.2)
        except NoRespondersError:
            return True
        return False

    await eventually(has_no_responders, f"no responders for {device}", retry_on=(NatsTimeoutError,))


@both
async def test_a_device_says_hello_and_bye(
    transport: Transport, make_fleet: MakeFleet, jetstream: JetStreamContext, unique: str
) -> None:
    """Both are stored in the stream of devices and contain only what the contract defines."""
    device = name(unique)
    async with make_fleet([device], transport, factory=True) as fleet:
        factory = active(fleet.state(device))
    said = DeviceHello.model_validate_json(await newest(jetstream, subjects.device(device, "hello")))
    assert said.id == device
    assert said.active is not None
    assert said.active.bundle_sha256 == factory
    bye = DeviceBye.model_validate_json(await newest(jetstream, subjects.device(device, "bye")))
    assert bye == DeviceBye(id=device)


@pytest.mark.parametrize(
    ("transport", "first"), [("nats", "reply subject"), ("mqtt", "topic")], ids=["nats", "mqtt"]
)
async def test_replies_use_the_subjects_of_the_transport(  # noqa: PLR0917
    transport: Transport, first: str, make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """Over NATS the first reply uses the reply subject, later ones the device's; MQTT has no reply subjects."""
    progress = ("topic", "progress")  # of a transfer that takes its time
    device = name(unique)
    async with make_fleet([device], transport):
        await commander.call(device, "stage", "s", **await store(1))
    answers = [answer for answer in commander.statuses("s") if answer != progress]
    assert sorted(answers) == sorted([(first, "accepted"), ("topic", "done")])


async def test_a_command_to_an_offline_device_has_no_responder(
    make_fleet: MakeFleet, nats_client: Client, unique: str
) -> None:
    """After a power cut the server reports no responders; after the restart the device replies."""
    device, ping = name(unique), Ping(command_id="p").to_json()
    async with make_fleet([device]) as fleet:
        await fleet.kill(device)
        assert not fleet.state(device).online
        await wait_for_no_responders(nats_client, device)
        await fleet.restart(device)
        assert (await nats_client.request(subjects.command(device, "ping"), ping, timeout=PATIENCE_S)).data


async def test_the_last_will_of_an_mqtt_device_is_its_bye(
    make_fleet: MakeFleet, nats_client: Client, unique: str
) -> None:
    """The server publishes it when the connection breaks."""
    device = name(unique)
    byes = await listen(nats_client, subjects.device(device, "bye"))
    async with make_fleet([device], "mqtt") as fleet:
        await fleet.kill(device)
        await eventually(lambda: byes, "the last will")
        assert DeviceBye.model_validate_json(byes[0]).reason == "the connection broke off"
        await wait_for_no_responders(nats_client, device)


@both
async def test_a_device_reconnects_after_a_server_restart(
    transport: Transport,
    make_fleet: MakeFleet,
    provisioned: Infrastructure,
    unique: str,
) -> None:
    """It retries until it is connected, and says hello again."""
    device = name(unique)
    stack = provisioned.killable()
    events: list[str] = []
    async with make_fleet([device], transport, on_change=lambda change: events.append(change.event)) as fleet:
        await asyncio.to_thread(stack.kill, "nats")
        await eventually(lambda: not fleet.state(device).online, "the device notices")
        await asyncio.to_thread(stack.restart, "nats")
        await eventually(lambda: fleet.state(device).online, "the device is back")
    assert events == ["online", "offline", "online", "offline"]


async def test_new_keys_are_trusted_if_an_old_key_signed_them(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """After that, bundles of the old key are refused, also after a restart."""
    device, document = name(unique), jwk_set(STRANGER)
    async with make_fleet([device]) as fleet:
        signatures = {kid(KEY): KEY.sign(document.encode()).hex()}
        trusted = await commander.call(device, "trust", "t", keys_document=document, signatures=signatures)
        assert trusted.status == "done"
        await fleet.restart(device)
        refused = await commander.call(device, "stage", "s", **await store(1))
        assert (refused.status, refused.code) == ("failed", "unknown_key")
        assert refused.hello is not None
        assert refused.hello.key_ids == [kid(STRANGER)]


@both
async def test_hostile_commands_do_not_harm_a_device(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:
    """It refuses invalid JSON, unknown verbs, and empty and huge bodies, and continues."""
    device = name(unique)
    async with make_fleet([device], transport, factory=True) as fleet:
        for verb in ("stage", "info", "explode", "chunk", "discard"):
            for body in (b"", b"\x00\xff", b"[" * 50_000, b'{"command_id": "h"}', b"{}\n"):
                await commander.send_raw(device, verb, body)
        assert (await commander.call(device, "info", "after")).status == "done"
        assert fleet.state(device).active


async def test_a_device_without_a_credential_uses_the_fleets_settings(
    provisioned: Infrastructure, tmp_path: Any, commander: Commander, unique: str
) -> None:
    """This serves load tests on a bus without device credentials."""
    fleet = Fleet(anonymous([name(unique)], jwk_set(KEY)), servers=Servers(NatsSettings()), folder=tmp_path)
    async with fleet:
        assert (await commander.call(name(unique), "info", "i")).status == "done"


async def test_a_fleet_that_cannot_connect_says_why(make_fleet: MakeFleet, unique: str) -> None:
    """The error has the number of devices and the first reason, and nothing keeps running."""
    away = Servers(NatsSettings(url="nats://127.0.0.1:9", creds=None))
    fleet = make_fleet([name(unique)])
    fleet._servers = away
    # Long enough for a first try, however busy the machine is.
    with pytest.raises(FleetError, match=r"1 of 1 devices are not online after 12 s; sim-.*: NATS: "):
        await fleet.start(within_s=12)


async def test_a_client_id_does_not_displace_a_device(
    make_fleet: MakeFleet, commander: Commander, provisioned: Infrastructure, identities: Any, unique: str
) -> None:
    """Another device that uses this device's id as its MQTT client id does not disconnect it."""
    assert provisioned.mqtt_url is not None
    device, other = f"a-{unique}", f"b-{unique}"
    [identity] = identities([other], "mqtt")
    place = urlsplit(provisioned.mqtt_url)
    async with make_fleet([device], "mqtt") as fleet:
        attacker = aiomqtt.Client(
            place.hostname or "", place.port or 0, username=other, password=identity.credential.secret,
            identifier=device, timeout=PATIENCE_S,
        )  # fmt: skip
        async with attacker:
            assert (await commander.call(device, "ping", "still there")).status == "done"
        assert fleet.state(device).online
