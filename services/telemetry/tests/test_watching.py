"""The running service: presence, facts, alarms and the live feed of devices that speak over a real broker."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from k1_contracts import subjects
from k1_contracts.devices import DeviceAlarm, DeviceOffline, LiveItem, LiveSample
from k1_telemetry.alarms import LONGEST_GAP
from services.telemetry.tests import samples
from services.telemetry.tests.conftest import PATIENCE_S, FakeDevice, Heard, Say
from tests.support.service_process import RunningService

Begin = Callable[..., "asyncio.Task[None]"]
ONLINE, OFFLINE, ALARM = subjects.DEVICE_ONLINE, subjects.DEVICE_OFFLINE, subjects.DEVICE_ALARM


async def test_online_at_hello_and_offline_at_bye_at_once(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """Both are told before silence could tell, presence comes and goes with them, and no alarm follows a bye."""
    silent = FakeDevice(device.client, f"{device.id}-silent")

    async def come() -> None:
        await device.say("hello")

    async def come_and_go() -> None:
        await device.say("hello")
        await device.say("bye")
        await silent.say("hello")

    await heard.fact(ONLINE, come, device_id=device.id)
    await _until(lambda alarms: alarms is not None, device, come)
    await heard.fact(OFFLINE, come_and_go, device_id=device.id, reason="bye")
    await _until(lambda alarms: alarms is None, device)
    offline = [(fact["device_id"], fact["reason"]) for fact in heard.of(OFFLINE)]
    assert (silent.id, "silence") not in offline[: offline.index((device.id, "bye"))]
    # All that follows the bye; an alarm of before is of a pause of this test.
    gone_at = heard.of(OFFLINE, device_id=device.id, reason="bye")[-1]["at"]
    assert [alarm for alarm in heard.of(ALARM, device_id=device.id) if alarm["at"] > gone_at] == []


async def test_silence_ends_presence_in_five_seconds(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """Not before five seconds; as fact, as alarm and on the feed of the track; cleared at the next word."""
    await heard.fact(ONLINE, device.send, device_id=device.id)
    fact = DeviceOffline.model_validate(await heard.fact(OFFLINE, device_id=device.id))
    assert fact.reason == "silence"
    assert fact.last_seen is not None
    assert (fact.at - fact.last_seen).total_seconds() >= 5 - 0.001  # told in milliseconds
    raised = await heard.fact(ALARM, device_id=device.id, kind="silence", state="raised")
    assert raised["reason"] == "silent for 5s"
    await _until(lambda alarms: alarms is None, device)
    await heard.fact(ALARM, device.send, device_id=device.id, kind="silence", state="cleared")

    def told() -> list[str]:
        feed = heard.of(subjects.live_track(samples.TRACK))
        return [body["event"] for body in feed if body.get("details", {}).get("device_id") == device.id]

    await heard.until(lambda: len(told()) >= 5, "five events on the feed of the track")
    assert told()[:3] == ["online", "offline", "alarm"]
    assert sorted(told()[3:5]) == ["alarm", "online"]


async def test_drift_alarms_are_facts_presence_and_events(
    telemetry: RunningService, device: FakeDevice, heard: Heard, playing: Begin
) -> None:
    """Amber and alert at once, the alarm after five seconds, all on the feed; presence holds the highest."""
    playing(device, drift_ms=-150.0)
    alarm = {"device_id": device.id, "kind": "drift", "level": "alarm", "state": "raised"}
    fact = DeviceAlarm.model_validate(await heard.fact(ALARM, **alarm))
    assert (fact.reason, fact.value, fact.track_id) == ("drift_ms > 100 for 5s", -150.0, samples.TRACK)
    # With the first reading after five seconds; over a longer gap between two nothing would have lasted.
    held_s = (fact.at - fact.since).total_seconds()
    assert 5 - 0.001 <= held_s < 5 + LONGEST_GAP.total_seconds() + 0.001
    await _until(lambda alarms: alarms == [("drift", "alarm")], device)

    def levels(raised: list[dict[str, Any]]) -> list[str]:
        """Up to the alarm; whatever was raised before a pause of this test's device is raised again after it."""
        found = [one["level"] for one in raised if one["kind"] == "drift" and one["state"] == "raised"]
        return found[: found.index("alarm") + 1] if "alarm" in found else []

    def on_the_feed() -> list[str]:
        events = heard.of(subjects.live_track(samples.TRACK), event="alarm")
        return levels([e["details"] for e in events if e["details"]["device_id"] == device.id])

    in_turn = ["amber", "alert", "alarm"]
    assert levels(heard.of(ALARM, device_id=device.id))[-3:] == in_turn
    assert (await heard.until(on_the_feed, "the alarm on the feed of the track"))[-3:] == in_turn


async def test_live_samples_are_at_most_ten_a_second_and_end_with_the_newest(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """On the device's and the track's subject, as the contract has them."""
    own, track = subjects.live_telemetry(device.id), subjects.live_track(samples.TRACK)
    begun, sent = time.monotonic(), 0

    async def burst() -> None:
        nonlocal sent
        for _ in range(100):
            await device.send()
        await device.send(drift_ms=7.25)
        sent += 101

    await heard.until(lambda: heard.of(own, drift_ms=7.25), "the newest sample", burst)
    told = heard.of(own)
    assert len(told) < min(10 * (time.monotonic() - begun) + 3, sent)
    sample = LiveSample.model_validate(told[-1])
    assert (sample.device_id, sample.track_id, sample.drift_ms) == (device.id, samples.TRACK, 7.25)
    on_track = await heard.until(
        lambda: heard.of(track, device_id=device.id, drift_ms=7.25), "the newest sample on the track"
    )
    assert LiveItem.model_validate(on_track[0]).root in map(LiveSample.model_validate, told)


async def test_hostile_messages_change_nothing(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """They are counted by what is wrong; a healthy reading between them is heard, and the service goes on."""
    bad = [b"", b"null", b"[" * 100_000, b"{}", b"\xff\xfe", b'{"ts": 1e400}', b"[" + b"{}," * 5000 + b"{}]"]

    async def send_all() -> None:
        for body in [*bad, samples.message(samples.fields(track_id="live.>"))]:
            await device.client.publish(subjects.telemetry(device.id), body)
        await device.client.publish(subjects.telemetry("no-device!"), samples.message(samples.fields()))
        await device.send(drift_ms=3.5)

    live = subjects.live_telemetry(device.id)
    await heard.until(lambda: heard.of(live, drift_ms=3.5), "the good one", send_all)
    assert heard.of(live, drift_ms=3.5) == heard.of(live)
    counted = [
        f'k1_telemetry_readings_total{{outcome="{one}"}}' for one in ("malformed", "invalid", "too_many")
    ]
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(timeout=PATIENCE_S, verify=False) as http:
        metrics = ""
        while not all(one in metrics for one in counted):  # counted after they are told
            metrics = (await http.get(f"{telemetry.url}/metrics")).text
            await asyncio.sleep(0.01)
    assert device.id not in metrics
    assert "k1_telemetry_failures_total 0.0" in metrics


async def _until(
    condition: Callable[[list[tuple[str, str]] | None], bool], device: FakeDevice, saying: Say | None = None
) -> None:
    """Asked of the alarms in its presence; None: it has none."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if saying is not None:
                await saying()
            presence = await device.presence()
            if condition(presence and [(alarm.kind, alarm.level) for alarm in presence.alarms]):
                return
            await asyncio.sleep(0.01)


async def test_a_device_gets_to_know_what_is_wrong(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """A wrong reading and a wrong bye each get an error with the field; the bye counts all the same."""
    errors = subjects.command(device.id, "error")
    await heard.listen(errors)

    async def wrong_reading() -> None:
        await device.send(fps=-1.0)

    async def wrong_bye() -> None:
        await device.say("hello")
        await device.client.publish(subjects.device(device.id, "bye"), b'{"id":"another"}')

    reading = await heard.fact(errors, wrong_reading, code="invalid_field")
    assert (reading["subject"], reading["field"]) == (subjects.telemetry(device.id), "fps")
    bye = await heard.fact(errors, wrong_bye, code="wrong_id")
    assert (bye["subject"], bye["field"]) == (subjects.device(device.id, "bye"), "id")
    await heard.fact(OFFLINE, device_id=device.id, reason="bye")
