"""Tests devices on a real bus and a real store, over NATS and over MQTT."""

import asyncio
from itertools import pairwise
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
from k1_contracts.messages.deploy.device_link import (
    ChunkHeader,
    DeviceBye,
    DeviceHello,
    FetchChunk,
    Ping,
    Transport,
)
from k1_contracts.messages.telemetry import DEVICE_READINGS, TelemetryBody, TelemetrySample
from k1_platform.settings import NatsSettings
from k1_simulator.device import DeviceState
from k1_simulator.fleet import Fleet, FleetError
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import anonymous
from k1_simulator.profile import Profile
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet, stage_fields
from simulator.tests.shows import KEY, STRANGER, bundle, jwk_set, kid
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import PATIENCE_S, eventually

TRANSPORTS: tuple[Transport, ...] = ("nats", "mqtt")
NOWHERE = "http://127.0.0.1:9/nothing"
both = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture
def patient_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for a response to `fetch`, because the machine may be busy."""
    for module in ("k1_simulator.links.nats_link", "k1_simulator.links.mqtt_link"):
        monkeypatch.setattr(f"{module}.CHUNK_TIMEOUT_S", PATIENCE_S)


def name(unique: str) -> str:
    return f"sim-{unique}"


def active(state: DeviceState) -> str | None:
    return state.active.bundle_sha256 if state.active else None


async def listen(client: Client, subject: str) -> list[bytes]:
    """Record what is published on a subject from now on."""
    received: list[bytes] = []

    async def note(message: Any) -> None:
        received.append(message.data)

    await client.subscribe(subject, cb=note)
    await client.flush()
    return received


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


@both
async def test_a_show_is_staged_activated_and_deactivated(
    transport: Transport,
    make_fleet: MakeFleet,
    commander: Commander,
    store: Any,
    unique: str,
) -> None:
    """It comes from the store by HTTP Range, starts at a time of the device's clock, and the earlier show returns."""
    device, show = name(unique), bundle(1).sha256
    async with make_fleet([device], transport, factory=True) as fleet:
        before = active(fleet.state(device))
        staged = await commander.call(device, "stage", "s", **await store(1, chunk_size=1000))
        assert (staged.status, staged.code, staged.message) == ("done", None, None)
        assert staged.hello is not None
        assert staged.hello.staged == [show]
        now_ms, earliest_s, latest_s = await commander.device_time(device)
        await commander.send(device, "activate", "a", bundle_sha256=show, at_ms=now_ms + 300)
        assert (await commander.answer("a", "accepted")).hello is None
        done = await commander.answer("a")
        (activation,) = fleet.activations()
        assert done.at_ms == activation.at_ms >= now_ms + 300 - 0.1
        since_s = (activation.at_ms - now_ms) / 1000  # by a clock that is good to 20 millionths
        assert earliest_s + since_s * 0.9999 <= activation.monotonic_s <= latest_s + since_s * 1.0001
        assert active(fleet.state(device)) == show
        back = await commander.call(device, "deactivate", "d", restore=before, bundle_sha256=show)
        assert back.status == "done"
        assert (active(fleet.state(device)), fleet.state(device).staged) == (before, (show,))
        assert (await commander.call(device, "discard", "x", bundle_sha256=show)).status == "done"
        assert fleet.state(device).staged == ()


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


@both
@pytest.mark.usefixtures("patient_link")
async def test_a_bundle_comes_over_the_link_if_http_fails(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, nats_client: Client, unique: str
) -> None:
    """It comes in chunks from the responder of `fetch`, here after some lost and some wrong responses."""
    device, data = name(unique), bundle(1).data
    asked: list[int] = []

    async def give(message: Any) -> None:
        request = FetchChunk.model_validate_json(message.data)
        asked.append(request.offset)
        part = data[request.offset : request.offset + request.length]
        header = ChunkHeader(
            request_id=request.request_id,
            bundle_sha256=request.bundle_sha256,
            offset=request.offset,
            length=len(part),
        )
        if len(asked) == 2:
            header = header.model_copy(update={"offset": request.offset + 1})
        if len(asked) == 3:
            header, part = header.model_copy(update={"error": "the store is away", "length": 0}), b""
        subject = message.reply or subjects.command(device, "chunk")
        await nats_client.publish(subject, header.to_json() + b"\n" + part)

    await nats_client.subscribe(subjects.device(device, "fetch"), cb=give)
    async with make_fleet([device], transport):
        staged = await commander.call(device, "stage", "s", **stage_fields(1, NOWHERE, chunk_size=8192))
    assert (staged.status, staged.message) == ("done", None)
    assert asked == [0, 8192, 8192, *range(8192, len(data), 8192)]


@both
@pytest.mark.usefixtures("patient_link")
async def test_an_unavailable_bundle_fails_with_both_reasons(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, nats_client: Client, unique: str
) -> None:
    """If HTTP and the link fail, the reply is `fetch_failed` with both errors."""
    device = name(unique)

    async def refuse(message: Any) -> None:
        request = FetchChunk.model_validate_json(message.data)
        header = ChunkHeader(**request.model_dump(exclude={"length"}), length=0, error="no such bundle")
        await nats_client.publish(
            message.reply or subjects.command(device, "chunk"), header.to_json() + b"\n"
        )

    await nats_client.subscribe(subjects.device(device, "fetch"), cb=refuse)
    async with make_fleet([device], transport):
        failed = await commander.call(device, "stage", "s", **stage_fields(1, NOWHERE))
    assert (failed.status, failed.code) == ("failed", "fetch_failed")
    assert "HTTP: " in (failed.message or "")
    assert "link: no such bundle" in (failed.message or "")


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
async def test_a_restart_keeps_bundles_fence_and_replies(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """A command that is repeated after it has no second effect and the same reply."""
    device, show = name(unique), bundle(1).sha256
    async with make_fleet([device], transport, factory=True) as fleet:
        await commander.call(device, "stage", "s", **await store(1), fence=5)
        first = await commander.call(device, "activate", "a", bundle_sha256=show, fence=5)
        held = fleet.state(device)
        await fleet.restart(device)
        assert fleet.state(device) == held
        again = await commander.call(device, "activate", "a", bundle_sha256=show, fence=5)
        assert again == first
        assert len(fleet.activations()) == 1
        stale = await commander.call(device, "discard", "d", bundle_sha256=show, fence=4)
        assert stale.code == "stale_fence"


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


def assert_consecutive(readings: list[TelemetrySample]) -> None:
    """Assert that the numbers rise by one; readings before the first connection are lost."""
    assert [reading.seq - readings[0].seq for reading in readings] == list(range(len(readings)))


@both
async def test_readings_come_while_a_show_plays(  # noqa: PLR0917
    transport: Transport,
    make_fleet: MakeFleet,
    commander: Commander,
    store: Any,
    nats_client: Client,
    unique: str,
) -> None:
    """A device sends at most one reading a second before the show and ten during it.

    Each number comes once and in order, the track is named, and the times are on the device's clock.
    """
    device = name(unique)
    bodies = await listen(nats_client, DEVICE_READINGS.subject_for(device))

    def readings() -> list[TelemetrySample]:
        return [
            one
            for one in (TelemetryBody.model_validate_json(body).root for body in bodies)
            if not isinstance(one, list)
        ]

    async with make_fleet([device], transport, behaviour=BehaviourConfig()):
        await eventually(lambda: len(readings()) >= 3, "idle readings")
        idle = readings()
        before_ms, *_ = await commander.device_time(device)
        await commander.call(device, "stage", "s", **await store(1))
        await commander.call(device, "activate", "a", bundle_sha256=bundle(1).sha256)
        await eventually(lambda: len([r for r in readings() if r.track_id]) >= 20, "readings of a show")
        seen = readings()
        now_ms, *_ = await commander.device_time(device)
    assert_consecutive(readings())
    assert all(b.ts - a.ts > 999.9 for a, b in pairwise(idle))
    playing = [reading for reading in seen if reading.track_id]
    assert {reading.track_id for reading in playing} == {bundle(1).manifest.track_id}
    assert all(b.ts - a.ts > 99.9 for a, b in pairwise(playing))
    # The first may be for a moment of before, the second for at most a second before it was taken.
    assert before_ms < playing[19].ts <= seen[-1].ts < now_ms


async def test_readings_may_share_a_message(make_fleet: MakeFleet, nats_client: Client, unique: str) -> None:
    """Five readings are a tenth of a second apart, the newest last."""
    device = name(unique)
    bodies = await listen(nats_client, DEVICE_READINGS.subject_for(device))
    async with make_fleet([device], factory=True, behaviour=BehaviourConfig(readings_a_message=5)):
        await eventually(lambda: len(bodies) >= 3, "messages")
    packs = [TelemetryBody.model_validate_json(body).root for body in bodies]
    assert all(isinstance(pack, list) and len(pack) == 5 for pack in packs)
    flat = [reading for pack in packs if isinstance(pack, list) for reading in pack]
    assert_consecutive(flat)
    for pack in packs:
        assert isinstance(pack, list)
        assert [reading.ts - pack[0].ts for reading in pack] == pytest.approx(
            [0, 100, 200, 300, 400], abs=0.1
        )
    assert all(b.ts - a.ts > 99.9 for a, b in pairwise(flat))


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


async def test_a_device_refuses_a_bundle_that_it_cannot_run(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """Only the manifest shows it, so it fails after the transfer; the active show still runs."""
    old, poor = f"{name(unique)}-old", f"{name(unique)}-poor"
    profiles = {old: Profile(firmware="0.9.0"), poor: Profile(node_types=("led_output",))}
    async with make_fleet([old, poor], profiles=profiles, factory=True) as fleet:
        fields = await store(1)
        assert (await commander.call(old, "stage", "s1", **fields)).code == "firmware_too_old"
        assert (await commander.call(poor, "stage", "s2", **fields)).code == "missing_nodes"
        assert all(state.active and not state.staged for state in fleet.states().values())


async def test_a_wrong_size_or_hash_is_detected(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """The stored object is longer than announced, or it is another object."""
    device = name(unique)
    async with make_fleet([device], factory=True) as fleet:
        fields = await store(1)
        short = await commander.call(device, "stage", "s1", **fields | {"size": fields["size"] - 1})
        assert (short.status, short.code) == ("failed", "size_mismatch")
        other = await commander.call(device, "stage", "s2", **fields | {"bundle_sha256": "0" * 64})
        assert (other.status, other.code) == ("failed", "hash_mismatch")
        assert fleet.state(device).staged == ()


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


async def longest_pause(over: asyncio.Event) -> float:
    """Return the longest time, in seconds, that this event loop delayed a timer, until `over` is set."""
    longest_s, loop = 0.0, asyncio.get_running_loop()
    while not over.is_set():
        due_s = loop.time() + 0.01
        await asyncio.sleep(0.01)
        longest_s = max(longest_s, loop.time() - due_s)
    return longest_s


async def test_a_hundred_devices_activate_together(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """None starts before its activation time on its own clock, and nearly all start soon after, unless the machine is paused."""
    devices = [f"{name(unique)}-{number}" for number in range(100)]
    async with make_fleet(devices) as fleet:
        fields = await store(1)
        staged = await asyncio.gather(
            *(commander.call(device, "stage", f"s {device}", **fields) for device in devices)
        )
        assert {answer.status for answer in staged} == {"done"}
        longest_stall = asyncio.create_task(longest_pause(over := asyncio.Event()))
        for device in devices:
            shown_ms, *_ = await commander.device_time(device)
            at_ms = shown_ms + 3000
            await commander.send(
                device, "activate", f"a {device}", bundle_sha256=bundle(1).sha256, at_ms=at_ms
            )
        done = await asyncio.gather(*(commander.answer(f"a {device}") for device in devices))
        over.set()
        stall_ms = await longest_stall * 1000
    moments = {activation.command_id: activation for activation in fleet.activations()}
    assert len(moments) == 100
    assert all(moments[answer.command_id].at_ms == answer.at_ms for answer in done)
    late = sorted(moment.at_ms - (moment.wanted_ms or 0) for moment in moments.values())
    assert late[0] > -2
    assert late[94] < 1000 + stall_ms


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
