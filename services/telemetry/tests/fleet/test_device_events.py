"""Tests the running service with a real broker: presence, events, alarms and the live feed of devices."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from k1_contracts import subjects
from k1_contracts.messages.telemetry import (
    DEVICE_ALARM,
    DEVICE_OFFLINE,
    DEVICE_ONLINE,
    DEVICE_READINGS,
    LIVE_READING,
    LIVE_TRACK,
    DeviceAlarm,
    DeviceOffline,
    LiveItem,
    LiveSample,
)
from k1_telemetry.fleet.alarms import MAX_GAP
from services.telemetry.tests import samples
from services.telemetry.tests.conftest import FakeDevice, MessageRecorder, Send
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S, eventually

StartSending = Callable[..., "asyncio.Task[None]"]
ONLINE, OFFLINE, ALARM = DEVICE_ONLINE.subject, DEVICE_OFFLINE.subject, DEVICE_ALARM.subject


async def test_online_at_hello_and_offline_at_bye_at_once(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder
) -> None:
    """Both events come before silence is detected, presence follows them, and no alarm follows a bye."""
    silent = FakeDevice(device.client, f"{device.id}-silent")

    async def send_hello() -> None:
        await device.announce("hello")

    async def send_hello_and_bye() -> None:
        await device.announce("hello")
        await device.announce("bye")
        await silent.announce("hello")

    await recorder.event(ONLINE, send_hello, device_id=device.id)
    await _wait_for_presence(lambda alarms: alarms is not None, device, send_hello)
    await recorder.event(OFFLINE, send_hello_and_bye, device_id=device.id, reason="bye")
    await _wait_for_presence(lambda alarms: alarms is None, device)
    offline = [(event["device_id"], event["reason"]) for event in recorder.of(OFFLINE)]
    assert (silent.id, "silence") not in offline[: offline.index((device.id, "bye"))]
    # Only what follows the bye: an earlier alarm comes from a pause of this test.
    offline_at = recorder.of(OFFLINE, device_id=device.id, reason="bye")[-1]["at"]
    assert [alarm for alarm in recorder.of(ALARM, device_id=device.id) if alarm["at"] > offline_at] == []


async def test_silence_ends_presence_in_five_seconds(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder
) -> None:
    """After five seconds or more it is an event, an alarm and on the track's feed; the next message clears it."""
    await recorder.event(ONLINE, device.send, device_id=device.id)
    offline = DeviceOffline.model_validate(await recorder.event(OFFLINE, device_id=device.id))
    assert offline.reason == "silence"
    assert offline.last_seen is not None
    assert (offline.at - offline.last_seen).total_seconds() >= 5 - 0.001  # published in milliseconds
    raised = await recorder.event(ALARM, device_id=device.id, kind="silence", state="raised")
    assert raised["reason"] == "silent for 5s"
    await _wait_for_presence(lambda alarms: alarms is None, device)
    await recorder.event(ALARM, device.send, device_id=device.id, kind="silence", state="cleared")

    def feed_events() -> list[str]:
        feed = recorder.of(LIVE_TRACK.subject_for(samples.TRACK))
        return [body["event"] for body in feed if body.get("details", {}).get("device_id") == device.id]

    await recorder.wait_for(lambda: len(feed_events()) >= 5, "five events on the feed of the track")
    assert feed_events()[:3] == ["online", "offline", "alarm"]
    assert sorted(feed_events()[3:5]) == ["alarm", "online"]


async def test_drift_alarms_are_in_events_presence_and_the_feed(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder, start_sending: StartSending
) -> None:
    """Amber and alert come at once, the alarm after five seconds, all on the feed; presence has the highest."""
    start_sending(device, drift_ms=-150.0)
    alarm: dict[str, Any] = {"device_id": device.id, "kind": "drift", "level": "alarm", "state": "raised"}
    event = DeviceAlarm.model_validate(await recorder.event(ALARM, **alarm))
    assert (event.reason, event.value, event.track_id) == ("drift_ms > 100 for 5s", -150.0, samples.TRACK)
    # With the first reading after five seconds; a longer gap between two readings would restart the timer.
    held_s = (event.at - event.since).total_seconds()
    assert 5 - 0.001 <= held_s < 5 + MAX_GAP.total_seconds() + 0.001
    await _wait_for_presence(lambda alarms: alarms == [("drift", "alarm")], device)

    def levels(raised: list[dict[str, Any]]) -> list[str]:
        """Return the levels up to the alarm; a pause of this test's device raises the earlier ones again."""
        found = [one["level"] for one in raised if one["kind"] == "drift" and one["state"] == "raised"]
        return found[: found.index("alarm") + 1] if "alarm" in found else []

    def levels_on_feed() -> list[str]:
        events = recorder.of(LIVE_TRACK.subject_for(samples.TRACK), event="alarm")
        return levels([e["details"] for e in events if e["details"]["device_id"] == device.id])

    expected = ["amber", "alert", "alarm"]
    assert levels(recorder.of(ALARM, device_id=device.id))[-3:] == expected
    assert (await recorder.wait_for(levels_on_feed, "the alarm on the feed of the track"))[-3:] == expected


async def test_live_samples_are_at_most_ten_a_second_and_end_with_the_newest(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder
) -> None:
    """They come on the device's and on the track's subject, and follow the contract."""
    own, track = LIVE_READING.subject_for(device.id), LIVE_TRACK.subject_for(samples.TRACK)
    begun, sent = time.monotonic(), 0

    async def burst() -> None:
        nonlocal sent
        for _ in range(100):
            await device.send()
        await device.send(drift_ms=7.25)
        sent += 101

    await recorder.wait_for(lambda: recorder.of(own, drift_ms=7.25), "the newest sample", burst)
    published = recorder.of(own)
    assert len(published) < min(10 * (time.monotonic() - begun) + 3, sent)
    sample = LiveSample.model_validate(published[-1])
    assert (sample.device_id, sample.track_id, sample.drift_ms) == (device.id, samples.TRACK, 7.25)
    on_track = await recorder.wait_for(
        lambda: recorder.of(track, device_id=device.id, drift_ms=7.25), "the newest sample on the track"
    )
    assert LiveItem.model_validate(on_track[0]).root in [
        LiveSample.model_validate(each) for each in published
    ]


async def test_hostile_messages_change_nothing(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder
) -> None:
    """They are counted by fault; a healthy reading between them is published, and the service goes on."""
    bad = [b"", b"null", b"[" * 100_000, b"{}", b"\xff\xfe", b'{"ts": 1e400}', b"[" + b"{}," * 5000 + b"{}]"]

    async def send_all() -> None:
        for body in [*bad, samples.message(samples.fields(track_id="live.>"))]:
            await device.client.publish(DEVICE_READINGS.subject_for(device.id), body)
        await device.client.publish(
            DEVICE_READINGS.subject_for("no-device!"), samples.message(samples.fields())
        )
        await device.send(drift_ms=3.5)

    live = LIVE_READING.subject_for(device.id)
    await recorder.wait_for(lambda: recorder.of(live, drift_ms=3.5), "the good one", send_all)
    assert recorder.of(live, drift_ms=3.5) == recorder.of(live)
    counted = [
        f'k1_telemetry_readings_total{{outcome="{one}"}}' for one in ("malformed", "invalid", "too_many")
    ]
    async with httpx.AsyncClient(timeout=PATIENCE_S, verify=False) as http:

        async def all_counted() -> str | None:
            text = (await http.get(f"{telemetry.url}/metrics")).text
            return text if all(one in text for one in counted) else None

        # Faults are counted after publishing.
        metrics = await eventually(all_counted, "every fault is counted", interval_s=0.01)
    assert device.id not in metrics
    assert "k1_telemetry_failures_total 0.0" in metrics


async def _wait_for_presence(
    condition: Callable[[list[tuple[str, str]] | None], bool], device: FakeDevice, send: Send | None = None
) -> None:
    """Wait until the condition is true of the alarms in the device's presence, or of None without presence."""

    async def is_met() -> bool:
        if send is not None:
            await send()
        presence = await device.presence()
        return condition(presence and [(alarm.kind, alarm.level) for alarm in presence.alarms])

    await eventually(is_met, f"the wanted presence of {device.id}", interval_s=0.01)


async def test_a_device_gets_an_error_for_a_wrong_message(
    telemetry: RunningService, device: FakeDevice, recorder: MessageRecorder
) -> None:
    """A wrong reading and a wrong bye each get an error with the field; the bye still takes effect."""
    errors = subjects.command(device.id, "error")
    await recorder.subscribe(errors)

    async def wrong_reading() -> None:
        await device.send(fps=-1.0)

    async def wrong_bye() -> None:
        await device.announce("hello")
        await device.client.publish(subjects.device(device.id, "bye"), b'{"id":"another"}')

    reading = await recorder.event(errors, wrong_reading, code="invalid_field")
    assert (reading["subject"], reading["field"]) == (DEVICE_READINGS.subject_for(device.id), "fps")
    bye = await recorder.event(errors, wrong_bye, code="wrong_id")
    assert (bye["subject"], bye["field"]) == (subjects.device(device.id, "bye"), "id")
    await recorder.event(OFFLINE, device_id=device.id, reason="bye")
