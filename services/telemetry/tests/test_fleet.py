"""What the messages of many devices come to: facts, live samples, events of tracks, presence."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.devices import DeviceAlarm, DeviceOffline, DeviceOnline
from k1_telemetry.fleet import Effects, Fleet
from k1_telemetry.presence import Sight
from services.telemetry.tests.samples import TRACK, at, fields, message

K1 = "k1-a"


class Told:
    """A fleet, and all that it says."""

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.fleet = fleet or Fleet()
        self.effects = Effects()
        self._seq = 0

    def reading(self, seconds: float, device: str = K1, **changes: Any) -> None:
        self._seq += 1
        body = message(fields(self._seq, seconds * 1000, **changes))
        self.fleet.take_readings(device, body, at(seconds), self.effects, now=at(seconds))

    def hello(self, seconds: float) -> None:
        self.fleet.take_hello(K1, at(seconds), self.effects, now=at(seconds))

    def until(self, seconds: float) -> None:
        sight = Sight(at(0))
        sight.until = at(seconds)
        self.fleet.pass_time(sight, self.effects)

    @property
    def facts(self) -> list[str]:
        """Each fact in a word or two."""
        return [_short(fact) for fact in self.effects.facts]

    @property
    def events(self) -> list[tuple[str, str]]:
        """Track and event."""
        return [(track, event.event) for track, event in self.effects.events]


def _short(fact: DeviceOnline | DeviceOffline | DeviceAlarm) -> str:
    if isinstance(fact, DeviceOnline):
        return "online"
    return fact.reason if isinstance(fact, DeviceOffline) else f"{fact.kind} {fact.level} {fact.state}"


def test_a_silence_is_a_fact_and_an_alarm_and_ends_what_was_measured() -> None:
    """Offline, what was raised is cleared, silence raised; at the next word it is cleared and the device online."""
    told = Told()
    told.reading(1, temp_c=90.0, track_id=TRACK)
    told.until(5.9)
    assert told.facts == ["online", "temperature alarm raised"]
    told.until(6)
    assert told.facts[2:] == ["silence", "temperature alarm cleared", "silence alarm raised"]
    assert (told.effects.gone, told.fleet.presence(K1)) == ({K1: None}, None)
    told.reading(9, track_id=TRACK)
    assert told.facts[5:] == ["online", "silence alarm cleared"]
    assert (told.effects.gone, told.effects.present) == ({}, {K1: None})
    names = ["online", "alarm", "offline", "alarm", "alarm", "alarm", "online"]
    assert told.events == [(TRACK, name) for name in names]


def test_online_is_told_on_a_feed_once_the_track_is_known() -> None:
    """A hello names none; a device that plays nothing is on no feed."""
    told = Told()
    told.hello(0)
    told.reading(1)
    assert (told.facts, told.events) == (["online"], [])
    told.reading(2, track_id=TRACK)
    told.reading(3, track_id=TRACK)
    assert told.events == [(TRACK, "online")]
    assert told.effects.events[0][1].details == {"device_id": K1, "at": "2026-05-01T12:00:00.000Z"}


def test_a_bye_is_no_alarm() -> None:
    """Online again at the next hello, at once."""
    told = Told()
    told.reading(1, drift_ms=30.0, track_id=TRACK)
    told.fleet.take_bye(K1, at(2), told.effects)
    told.hello(2.1)
    assert told.facts == ["online", "drift amber raised", "bye", "drift amber cleared", "online"]


def test_of_several_readings_the_newest_is_live_and_all_are_judged() -> None:
    """A message of readings that a device packed: a level reached in its middle is told."""
    told = Told()
    body = message(fields(1, 0), fields(2, 100, temp_c=81.0), fields(3, 200, drift_ms=4.0))
    told.fleet.take_readings(K1, body, at(1), told.effects, now=at(1))
    (sample,) = told.effects.samples
    assert (sample.timestamp, sample.drift_ms) == (at(1), 4.0)
    alarm = told.effects.facts[1]
    assert isinstance(alarm, DeviceAlarm)
    assert (alarm.kind, alarm.at) == ("temperature", at(0.9))


def test_what_was_told_before_is_not_told_again() -> None:
    """From the presence of another process: no fact, though it goes on hearing the same."""
    before = Told()
    before.reading(1, drift_ms=60.0)
    presence = before.fleet.presence(K1)
    assert presence is not None
    after = Told(Fleet([presence]))
    after.reading(4, drift_ms=60.0)
    after.hello(5)
    assert after.facts == []
    assert after.fleet.presence(K1).model_dump() == presence.model_dump() | {"last_seen": at(5)}


def test_repeats_late_and_stale_readings_are_counted_and_change_nothing() -> None:
    """Neither alarms nor the live feed see them; stale ones of nobody known bring nobody online."""
    told = Told()
    for seq, ts in [(1, 100), (3, 300), (3, 300), (2, 200)]:
        body = message(fields(seq, ts, temp_c=50.0 if seq != 2 else 90.0))
        told.fleet.take_readings(K1, body, at(ts / 1000), told.effects, now=at(1))
    for device in (K1, "k1-b"):
        body = message(fields(4, temp_c=90.0))
        told.fleet.take_readings(device, body, at(0), told.effects, now=at(10.1))
    assert told.facts == ["online"]
    assert len(told.effects.samples) == 2
    assert told.fleet.counts.readings == {"new": 2, "duplicate": 1, "late": 1, "stale": 2}
    assert told.fleet.counts.missing == 1


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
def test_no_device_can_break_the_watch(sent: list[tuple[bytes, int, bool]]) -> None:
    """Any bodies, any clock, out of order, delivered again: facts stay in turn and true to what is kept."""
    told, now, raised = Told(), at(0), set[tuple[str, str]]()
    sight = Sight(now)
    for body, gap_us, again in sent:
        arrived = now + timedelta(microseconds=gap_us)
        now = max(now, arrived)
        told.fleet.take_readings(K1, body, arrived, told.effects, now=now, redelivered=again)
        sight.reaches(now)
        told.fleet.pass_time(sight, told.effects)
    online = False
    for fact in told.effects.facts:
        if isinstance(fact, DeviceAlarm):
            assert (fact.state == "raised") is ((fact.kind, fact.level) not in raised)
            (raised.add if fact.state == "raised" else raised.discard)((fact.kind, fact.level))
            assert fact.since <= fact.at
        else:
            assert isinstance(fact, DeviceOnline) is not online
            online = not online
    assert (told.fleet.presence(K1) is not None) is online
    assert sum(told.fleet.raised().values()) == len({kind for kind, _ in raised})
