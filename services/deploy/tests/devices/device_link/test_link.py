"""The services' end of the device link, on a real server."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import (
    Activate,
    DeviceCommand,
    DeviceReply,
    Discard,
    Info,
    ReplyStatus,
    Verb,
)
from k1_deploy.devices.device_link import link as link_module
from k1_deploy.devices.device_link.clock import RoundTrip
from k1_deploy.devices.device_link.link import PINGS, DeviceLink, PingLostError
from k1_deploy.errors import DeviceUnreachable
from k1_platform.nats.device_errors import DeviceErrors, ErrorLimiter
from services.deploy.tests.scripted_device import ScriptedDevice, bundle, hello
from tests.support.bus import connected_client, flush
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import PATIENCE_S, eventually

SHA256 = bundle(1).bundle_sha256


@pytest.fixture
async def link(nats_client: Client) -> DeviceLink:
    link = DeviceLink(nats_client)
    await link.start()
    return link


@pytest.fixture
async def devices(provisioned: Infrastructure) -> AsyncIterator[Client]:
    """The connection of the devices."""
    async with connected_client() as client:
        yield client


def unlimited(client: Client) -> DeviceErrors:
    """Reports every error: its clock makes a long step at each."""
    return DeviceErrors(client, ErrorLimiter(itertools.count(step=100).__next__))


def command(unique: str) -> Discard:
    return Discard(command_id=f"dep:{unique}", bundle_sha256=SHA256)


async def accepted_then_done(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
    await device.first(device.reply(command, verb, "accepted"))
    await device.later(device.reply(command, verb, "progress", received_bytes=7))
    await device.later(device.reply(command, verb, "done", hello=hello(device.id)))


async def silent(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
    """Receives everything and sends nothing."""


async def test_accepted_then_done(link: DeviceLink, devices: Client, unique: str) -> None:
    """The final reply is returned, those before it go to on_progress."""
    await ScriptedDevice(devices, unique, accepted_then_done).listen()
    progress: list[DeviceReply] = []
    done = await link.call(
        unique, "discard", command(unique), timeout_s=PATIENCE_S, on_progress=progress.append
    )
    assert (done.status, done.hello) == ("done", hello(unique))
    # The two subjects are two subscriptions: `accepted` may be overtaken, even by the last answer.
    assert {reply.status for reply in progress} <= {"accepted", "progress"}


async def test_the_first_reply(link: DeviceLink, devices: Client, unique: str) -> None:
    """Without waiting for the final reply, `accepted` is returned: the device is armed."""

    async def armed(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, "accepted"))

    await ScriptedDevice(devices, unique, armed).listen()
    order = Activate(command_id=unique, bundle_sha256=SHA256, at_ms=1e6)
    reply = await link.call(unique, "activate", order, timeout_s=PATIENCE_S, until_final=False)
    assert reply.status == "accepted"


@pytest.mark.parametrize("status", ["refused", "failed"])
async def test_a_rejection_is_a_reply(
    link: DeviceLink, devices: Client, unique: str, status: ReplyStatus
) -> None:
    """A device that rejects or fails has replied; the caller sees why."""

    async def refuse(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, status, code="still_active", message="it runs"))

    await ScriptedDevice(devices, unique, refuse).listen()
    reply = await link.call(unique, "discard", command(unique), timeout_s=PATIENCE_S)
    assert (reply.status, reply.code) == (status, "still_active")


async def test_over_mqtt_all_replies_come_on_one_subject(
    link: DeviceLink, devices: Client, unique: str
) -> None:
    """A device that cannot see the reply subject replies on its own."""

    async def like_mqtt(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.later(device.reply(command, verb, "accepted"))
        await device.later(device.reply(command, verb, "done"))

    await ScriptedDevice(devices, unique, like_mqtt).listen()
    progress: list[DeviceReply] = []
    done = await link.call(
        unique, "info", Info(command_id=unique), timeout_s=PATIENCE_S, on_progress=progress.append
    )
    assert [done.status, *(reply.status for reply in progress)] == ["done", "accepted"]


async def test_a_device_that_is_not_connected(link: DeviceLink, unique: str) -> None:
    """A device that is not connected is reported at once, not after the time-out."""
    with pytest.raises(DeviceUnreachable, match="is not connected"):
        await link.call(unique, "info", Info(command_id=unique), timeout_s=PATIENCE_S)


async def test_no_reply_in_time(link: DeviceLink, devices: Client, unique: str) -> None:
    """A device that sends no reply, or no final one, is unreachable after the time-out."""

    async def begins(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, "accepted"))

    await ScriptedDevice(devices, unique, begins).listen()
    await ScriptedDevice(devices, f"{unique}-mute", silent).listen()
    for device_id in (unique, f"{unique}-mute"):
        with pytest.raises(DeviceUnreachable, match=r"did not answer discard within 0\.1 s"):
            await link.call(device_id, "discard", command(unique), timeout_s=0.1)


async def test_the_same_command_again(link: DeviceLink, devices: Client, unique: str) -> None:
    """After a time-out the same command gets the reply; late and repeated replies do no harm."""

    async def second_time(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        if len(device.commands) == 2:
            for _ in range(3):
                await device.later(device.reply(command, verb, "done"))
            await device.first(device.reply(command, verb, "accepted"))

    device = await ScriptedDevice(devices, unique, second_time).listen()
    with pytest.raises(DeviceUnreachable):
        await link.call(unique, "discard", command(unique), timeout_s=0.1)
    assert (await link.call(unique, "discard", command(unique), timeout_s=PATIENCE_S)).status == "done"
    assert [verb for verb, _ in device.commands] == ["discard", "discard"]


async def test_two_callers_wait_for_one_command(link: DeviceLink, devices: Client, unique: str) -> None:
    """Both get the reply."""
    await ScriptedDevice(devices, unique, accepted_then_done).listen()
    calls = [link.call(unique, "discard", command(unique), timeout_s=PATIENCE_S) for _ in range(2)]
    assert [reply.status for reply in await asyncio.gather(*calls)] == ["done", "done"]


async def test_other_messages_do_not_end_a_call(nats_client: Client, devices: Client, unique: str) -> None:
    """Neither garbage, nor another device's reply, nor a reply to something else ends a call.

    Its sender gets one error for each, whatever the number of processes.
    """
    link = DeviceLink(nats_client, errors=unlimited(nats_client))
    second = DeviceLink(nats_client, errors=unlimited(nats_client))
    await link.start()
    await second.start()
    other = f"{unique}-other"

    async def hostile(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        good = device.reply(command, verb, "failed")
        for data in (b"", b"\xff\xfe", b"[]", b"{}", b'{"command_id":1}', b"9" * 100_000, b"[" * 100_000):
            await device.first(data)
            await device.later(data)
        await device.later(good, as_id=other)  # the subject is another's
        await device.later(good.model_copy(update={"device_id": other}))  # the body is another's
        await device.later(good.model_copy(update={"device_id": other}), as_id=other)  # both are
        await device.later(good.model_copy(update={"hello": hello(other)}))
        await device.later(good.model_copy(update={"verb": "stage"}))
        await device.later(good.model_copy(update={"command_id": "another"}))
        await device.later(device.reply(command, verb, "done"))

    device = await ScriptedDevice(devices, unique, hostile).listen()
    accomplice = await ScriptedDevice(devices, other, silent).listen()
    reply = await link.call(unique, "discard", command(unique), timeout_s=PATIENCE_S)
    assert reply.status == "done"
    await eventually(lambda: len(device.errors) >= 17, "all are reported", interval_s=0.005)
    await eventually(lambda: len(accomplice.errors) >= 1, "all are reported", interval_s=0.005)
    await flush(nats_client)
    await flush(devices)
    codes = Counter(error.code for error in device.errors)
    expected = {"invalid_json": 4, "too_many": 4, "invalid_field": 6, "wrong_id": 2, "unexpected_reply": 1}
    assert codes == expected
    assert [error.code for error in accomplice.errors] == ["wrong_id"]
    assert {error.subject for error in device.errors} == {subjects.device(unique, "reply")}


async def test_a_device_cannot_reply_for_another(link: DeviceLink, devices: Client, unique: str) -> None:
    """Not even when it knows the command's id and is faster."""
    attacker = f"{unique}-attacker"

    async def too_late(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        lie = DeviceReply(command_id=command.command_id, device_id=attacker, verb=verb, status="done")
        await devices.publish(subjects.device(attacker, "reply"), lie.to_json())
        await device.later(device.reply(command, verb, "refused"))

    await ScriptedDevice(devices, unique, too_late).listen()
    reply = await link.call(unique, "discard", command(unique), timeout_s=PATIENCE_S)
    assert (reply.device_id, reply.status) == (unique, "refused")


async def test_a_thousand_at_once(link: DeviceLink, devices: Client, unique: str) -> None:
    """Every call gets the reply of its device."""
    ids = [f"{unique}-{number}" for number in range(1000)]
    for device_id in ids:
        await devices.subscribe(
            subjects.command(device_id, ">"),
            cb=ScriptedDevice(devices, device_id, accepted_then_done)._handle_command,
        )
    await flush(devices)
    calls = (
        link.call(device_id, "discard", command(unique), timeout_s=300, on_progress=lambda _: None)
        for device_id in ids
    )
    replies = await asyncio.gather(*calls)
    assert [reply.device_id for reply in replies] == ids
    assert {reply.status for reply in replies} == {"done"}
    assert not link._by_command
    assert not link._by_token


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.unix_ms = 1.7e12

    def __call__(self) -> float:
        return self.unix_ms


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a ping takes longer."""
    monkeypatch.setattr(link_module, "PING_TIMEOUT_S", PATIENCE_S)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("offset_ms", [0.0, -1.7e12, -5e9])
async def test_the_clock_of_a_device(
    nats_client: Client, devices: Client, unique: str, offset_ms: float
) -> None:
    """The error is at most half of the shortest round trip, wherever the device's clock starts."""
    clock = Clock()
    link = DeviceLink(nats_client, clock)
    await link.start()
    ways = [(30.0, 5.0), (1.0, 2.0), (80.0, 90.0), (4.0, 1.0), (7.0, 7.0)]
    left = list(ways)

    async def send_reply(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        there, back = left.pop(0)
        clock.unix_ms += there
        now = clock.unix_ms + offset_ms
        clock.unix_ms += back
        await device.first(device.reply(command, verb, "done", received_ms=now, replied_ms=now))

    device = await ScriptedDevice(devices, unique, send_reply).listen()
    offset = await link.clock_offset_ms(unique)
    assert offset == pytest.approx(offset_ms, abs=min(there + back for there, back in ways) / 2 + 0.01)
    assert [verb for verb, _ in device.commands] == ["ping"] * PINGS


@pytest.mark.usefixtures("patience")
async def test_a_lost_ping_is_tolerated(nats_client: Client, devices: Client, unique: str) -> None:
    """One lost ping is tolerated; two in a row make the device unreachable."""
    lost: set[int] = set()

    class LossyLink(DeviceLink):
        pings = 0

        async def _ping(self, device_id: str) -> RoundTrip | None:
            self.pings += 1
            if self.pings in lost:
                raise PingLostError(f"{device_id} did not answer ping {self.pings}")
            return await super()._ping(device_id)

    async def send_reply(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        await device.first(device.reply(command, verb, "done", received_ms=1.0, replied_ms=1.0))

    await ScriptedDevice(devices, unique, send_reply).listen()
    link = LossyLink(nats_client)
    await link.start()
    lost = {1, 3, 5}
    assert await link.clock_offset_ms(unique) < 0
    lost = {PINGS + 2, PINGS + 3}
    with pytest.raises(DeviceUnreachable, match="did not answer ping 8"):
        await link.clock_offset_ms(unique)
    assert link.pings == PINGS + 3


@pytest.mark.usefixtures("patience")
async def test_impossible_clocks(link: DeviceLink, devices: Client, unique: str) -> None:
    """A device without times, or with impossible ones, has no clock; an offline one is unreachable."""

    async def nonsense(device: ScriptedDevice, verb: Verb, command: DeviceCommand) -> None:
        odd = len(device.commands) % 2
        times = {} if odd else {"received_ms": 2.0, "replied_ms": 1.0}
        await device.first(device.reply(command, verb, "done", **times))

    await ScriptedDevice(devices, unique, nonsense).listen()
    with pytest.raises(DeviceUnreachable, match="without possible times"):
        await link.clock_offset_ms(unique)
    with pytest.raises(DeviceUnreachable, match="is not connected"):
        await link.clock_offset_ms(f"{unique}-away")
