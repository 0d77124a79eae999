"""Tests what the messages of devices cause: events, live samples, live events of tracks and presence."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.telemetry import DeviceAlarm, DeviceOffline, DeviceOnline, Presence
from k1_telemetry.fleet.effects import Effects, FleetEvent, live_sample
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.fleet.presence import Watermark
from services.telemetry.tests.samples import TRACK, at, fields, message

K1 = "k1-a"


class FleetRecorder:
    """Sends messages to a fleet and records the effects."""

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.fleet = fleet or Fleet()
        self.effects = Effects()
        self._seq = 0

    def reading(self, seconds: float, device: str = K1, **changes: Any) -> None:
        self._seq += 1
        body = message(fields(self._seq, seconds * 1000, **changes))
        self.fleet.process_readings(device, body, at(seconds), self.effects, now=at(seconds))

    def hello(self, seconds: float) -> None:
        self.fleet.process_hello(K1, at(seconds), self.effects, now=at(seconds))

    def advance_to(self, seconds: float) -> None:
        watermark = Watermark(at(0))
        watermark.position = at(seconds)
        self.fleet.detect_silence(watermark, self.effects)

    @property
    def event_list(self) -> list[str]:
        """Return a short text for each event."""
        return [_describe(event) for event in self.effects.events]

    @property
    def live_events(self) -> list[tuple[str, str]]:
        """Return the live events as (track, name)."""
        return [(track, event.event) for track, event in self.effects.live_events]


def _describe(event: FleetEvent) -> str:
    if isinstance(event, DeviceOnline):
        return "online"
    return event.reason if isinstance(event, DeviceOffline) else f"{event.kind} {event.level} {event.state}"


def test_a_silence_is_an_event_and_an_alarm_and_clears_other_alarms() -> None:
    """The device goes offline, its alarms are cleared and silence is raised; its next message reverses both."""
    recorder = FleetRecorder()
    recorder.reading(1, temp_c=90.0, track_id=TRACK)
    recorder.advance_to(5.9)
    assert recorder.event_list == ["online", "temperature alarm raised"]
    recorder.advance_to(6)
    assert recorder.event_list[2:] == ["silence", "temperature alarm cleared", "silence alarm raised"]
    assert (recorder.effects.presence_removed, recorder.fleet.presence(K1)) == ({K1: None}, None)
    recorder.reading(9, track_id=TRACK)
    assert recorder.event_list[5:] == ["online", "silence alarm cleared"]
    assert (recorder.effects.presence_removed, recorder.effects.presence_changed) == ({}, {K1: None})
    names = ["online", "alarm", "offline", "alarm", "alarm", "alarm", "online"]
    assert recorder.live_events == [(TRACK, name) for name in names]


def test_devices_that_an_earlier_leader_left_online_are_missed_or_go_on() -> None:
    """One that sends nothing goes offline, with its alarms; one that sends counts as online from then on."""
    alarm = DeviceAlarm(
        device_id=K1, kind="temperature", level="alarm", state="raised", reason="", since=at(0), at=at(0)
    )
    left = Presence(device_id=K1, online_since=at(0), last_seen=at(0), alarms=[alarm])
    fleet = Fleet(lapsed=[left, left.model_copy(update={"device_id": "k1-b", "alarms": []})])
    recorder = FleetRecorder(fleet)
    assert not fleet.is_confirmed(K1)
    assert not fleet.is_confirmed("k1-b")
    recorder.reading(100, device="k1-b")
    assert fleet.is_confirmed("k1-b")
    recorder.advance_to(100)
    assert recorder.event_list == ["silence", "temperature alarm cleared", "silence alarm raised"]
    assert {event.device_id for event in recorder.effects.events} == {K1}
    assert fleet.online_devices() == ["k1-b"]


def test_online_is_a_live_event_once_the_track_is_known() -> None:
    """A hello names no track; a device that plays nothing is on no feed."""
    recorder = FleetRecorder()
    recorder.hello(0)
    recorder.reading(1)
    assert (recorder.event_list, recorder.live_events) == (["online"], [])
    recorder.reading(2, track_id=TRACK)
    recorder.reading(3, track_id=TRACK)
    assert recorder.live_events == [(TRACK, "online")]
    assert recorder.effects.live_events[0][1].details == {"device_id": K1, "at": "2026-05-01T12:00:00.000Z"}


def test_a_bye_raises_no_alarm() -> None:
    """The device is online redelivered at once with its next hello."""
    recorder = FleetRecorder()
    recorder.reading(1, drift_ms=30.0, track_id=TRACK)
    recorder.fleet.process_bye(K1, at(2), recorder.effects)
    recorder.hello(2.1)
    assert recorder.event_list == ["online", "drift amber raised", "bye", "drift amber cleared", "online"]


def test_of_several_readings_the_newest_is_live_and_all_can_raise_alarms() -> None:
    """A level that a reading in the middle of a message reaches is raised."""
    recorder = FleetRecorder()
    body = message(fields(1, 0), fields(2, 100, temp_c=81.0), fields(3, 200, drift_ms=4.0))
    recorder.fleet.process_readings(K1, body, at(1), recorder.effects, now=at(1))
    (newest,) = recorder.effects.newest_readings
    sample = live_sample(*newest)
    assert (sample.timestamp, sample.drift_ms) == (at(1), 4.0)
    alarm = recorder.effects.events[1]
    assert isinstance(alarm, DeviceAlarm)
    assert (alarm.kind, alarm.at) == ("temperature", at(0.9))


def test_events_of_an_earlier_leader_are_not_published_again() -> None:
    """A fleet restored from presence causes no event while the messages stay the same."""
    before = FleetRecorder()
    before.reading(1, drift_ms=60.0)
    presence = before.fleet.presence(K1)
    assert presence is not None
    after = FleetRecorder(Fleet([presence]))
    after.reading(4, drift_ms=60.0)
    after.hello(5)
    assert after.event_list == []
    restored = after.fleet.presence(K1)
    assert restored is not None
    assert restored.model_dump() == presence.model_dump() | {"last_seen": at(5)}


def test_duplicate_late_and_stale_readings_are_counted_and_change_nothing() -> None:
    """They reach neither alarms nor the live feed; stale readings bring no unknown device online."""
    recorder = FleetRecorder()
    for seq, ts in [(1, 100), (3, 300), (3, 300), (2, 200)]:
        body = message(fields(seq, ts, temp_c=50.0 if seq != 2 else 90.0))
        recorder.fleet.process_readings(K1, body, at(ts / 1000), recorder.effects, now=at(1))
    for device in (K1, "k1-b"):
        body = message(fields(4, temp_c=90.0))
        recorder.fleet.process_readings(device, body, at(0), recorder.effects, now=at(10.1))
    assert recorder.event_list == ["online"]
    assert len(recorder.effects.newest_readings) == 2
    assert recorder.fleet.counts.readings == {"new": 2, "duplicate": 1, "late": 1, "stale": 2}
    assert recorder.fleet.counts.missing == 1


bodies = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda seq, ts, drift: message(fields(seq, ts, drift_ms=drift)),
        st.integers(0, 50),
        st.floats(-1e300, 1e300),
        st.sampled_from([0.0, 30.0, 60.0, -150.0]),
    ),
)


@given(st.lists(st.tuples(bodies, st.integers(-2_000_000, 3_000_000), st.booleans()), max_size=60))
def test_no_messages_can_break_the_fleet(sent: list[tuple[bytes, int, bool]]) -> None:
    """With any bodies, clocks, order and redelivery, events alternate and agree with the state of the fleet."""
    recorder, now, raised = FleetRecorder(), at(0), set[tuple[str, str]]()
    watermark = Watermark(now)
    for body, gap_us, redelivered in sent:
        arrived = now + timedelta(microseconds=gap_us)
        now = max(now, arrived)
        recorder.fleet.process_readings(K1, body, arrived, recorder.effects, now=now, redelivered=redelivered)
        watermark.advance(now)
        recorder.fleet.detect_silence(watermark, recorder.effects)
    online = False
    for event in recorder.effects.events:
        if isinstance(event, DeviceAlarm):
            assert (event.state == "raised") is ((event.kind, event.level) not in raised)
            (raised.add if event.state == "raised" else raised.discard)((event.kind, event.level))
            assert event.since <= event.at
        else:
            assert isinstance(event, DeviceOnline) is not online
            online = not online
    assert (recorder.fleet.presence(K1) is not None) is online
    assert sum(recorder.fleet.count_alarms().values()) == len({kind for kind, _ in raised})
