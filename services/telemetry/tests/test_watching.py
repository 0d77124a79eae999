"""The running service: presence, facts, alarms and the live feed of devices that speak over a real broker."""

import asyncio
import time
from collections.abc import Callable

import httpx

from k1_contracts import subjects
from k1_contracts.devices import DeviceAlarm, LiveItem, LiveSample
from services.telemetry.tests import samples
from services.telemetry.tests.conftest import FakeDevice, Heard
from tests.support.service_process import RunningService

Begin = Callable[..., "asyncio.Task[None]"]
ONLINE, OFFLINE, ALARM = subjects.DEVICE_ONLINE, subjects.DEVICE_OFFLINE, subjects.DEVICE_ALARM


async def test_online_at_hello_and_offline_at_bye_at_once(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """Both facts come in no time, presence comes and goes with them, and no alarm follows a bye."""
    began = time.monotonic()
    await device.say("hello")
    await heard.fact(ONLINE, device_id=device.id)
    took_online = time.monotonic() - began
    await _until(lambda alarms: alarms is not None, device)
    began = time.monotonic()
    await device.say("bye")
    fact = await heard.fact(OFFLINE, device_id=device.id)
    took_offline = time.monotonic() - began
    await _until(lambda alarms: alarms is None, device)
    print(f"online after {took_online * 1e3:.1f} ms, offline after {took_offline * 1e3:.1f} ms")
    # Sooner than silence could tell.
    assert (fact["reason"], took_online < 4, took_offline < 4) == ("bye", True, True)
    assert heard.of(ALARM, device_id=device.id) == []


async def test_silence_ends_presence_in_five_seconds(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """Not before five seconds; as fact, as alarm and on the feed of the track; cleared at the next word."""
    await device.send()
    silent_since = time.monotonic()
    await heard.fact(ONLINE, device_id=device.id)
    fact = await heard.fact(OFFLINE, device_id=device.id)
    took = time.monotonic() - silent_since
    print(f"offline after {took:.2f} s of silence")
    assert took >= 4.95
    assert fact["reason"] == "silence"
    raised = await heard.fact(ALARM, device_id=device.id, kind="silence", state="raised")
    assert raised["reason"] == "silent for 5s"
    await _until(lambda alarms: alarms is None, device)
    await device.send()
    await heard.fact(ALARM, device_id=device.id, kind="silence", state="cleared")

    def told() -> list[str]:
        feed = heard.of(subjects.live_track(samples.TRACK))
        return [body["event"] for body in feed if body.get("details", {}).get("device_id") == device.id]

    await heard.until(lambda: len(told()) == 5, "five events on the feed of the track")
    assert told()[:3] == ["online", "offline", "alarm"]
    assert sorted(told()[3:]) == ["alarm", "online"]


async def test_drift_alarms_are_facts_presence_and_events(
    telemetry: RunningService, device: FakeDevice, heard: Heard, playing: Begin
) -> None:
    """Amber and alert at once, the alarm after five seconds, all on the feed; presence holds the highest."""
    playing(device, drift_ms=-150.0)
    for level in ("amber", "alert"):
        await heard.fact(ALARM, device_id=device.id, level=level, state="raised")
    assert heard.of(ALARM, device_id=device.id, level="alarm") == []
    fact = DeviceAlarm.model_validate(await heard.fact(ALARM, device_id=device.id, level="alarm"))
    assert (fact.reason, fact.value, fact.track_id) == ("drift_ms > 100 for 5s", -150.0, samples.TRACK)
    # With the first reading after five seconds; ten a second, unless the machine is busy.
    assert 5.0 <= (fact.at - fact.since).total_seconds() < 6.0
    await _until(lambda alarms: alarms == [("drift", "alarm")], device)

    def levels() -> list[str]:
        events = heard.of(subjects.live_track(samples.TRACK), event="alarm")
        return [e["details"]["level"] for e in events if e["details"]["device_id"] == device.id]

    await heard.until(lambda: len(levels()) == 3, "three events on the feed of the track")
    assert levels() == ["amber", "alert", "alarm"]


async def test_live_samples_are_at_most_ten_a_second_and_end_with_the_newest(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """On the device's and the track's subject, as the contract has them."""
    for _ in range(100):
        await device.send()
    own = subjects.live_telemetry(device.id)
    await device.send(drift_ms=7.25)
    await heard.until(lambda: heard.of(own, drift_ms=7.25), "the newest sample")
    times = [at for at, subject, _ in heard.messages if subject == own]
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[11:], strict=False))
    sample = LiveSample.model_validate(heard.of(own)[-1])
    assert (sample.device_id, sample.track_id) == (device.id, samples.TRACK)
    on_track = heard.of(subjects.live_track(samples.TRACK), device_id=device.id)
    assert [LiveItem.model_validate(body).root for body in on_track][-1] == sample


async def test_hostile_messages_change_nothing(
    telemetry: RunningService, device: FakeDevice, heard: Heard
) -> None:
    """They are counted by what is wrong; a healthy reading between them is heard, and the service goes on."""
    bad = [b"", b"null", b"[" * 100_000, b"{}", b"\xff\xfe", b'{"ts": 1e400}', b"[" + b"{}," * 5000 + b"{}]"]
    for body in [*bad, samples.message(samples.fields(track_id="live.>"))]:
        await device.client.publish(subjects.telemetry(device.id), body)
    await device.client.publish(subjects.telemetry("no-device!"), samples.message(samples.fields()))
    await device.send(drift_ms=3.5)
    await heard.until(lambda: heard.of(subjects.live_telemetry(device.id), drift_ms=3.5), "the good one")
    assert len(heard.of(subjects.live_telemetry(device.id))) == 1
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"{telemetry.url}/metrics")).text
    assert 'k1_telemetry_readings_total{outcome="malformed"}' in metrics
    assert 'k1_telemetry_readings_total{outcome="too_many"}' in metrics
    assert device.id not in metrics
    assert "k1_telemetry_failures_total 0.0" in metrics


async def _until(condition: Callable[[list[tuple[str, str]] | None], bool], device: FakeDevice) -> None:
    """Asked of the alarms in its presence; None: it has none."""
    async with asyncio.timeout(10):
        while True:
            presence = await device.presence()
            if condition(presence and [(alarm.kind, alarm.level) for alarm in presence.alarms]):
                return
            await asyncio.sleep(0.01)
