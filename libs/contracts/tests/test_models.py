"""What the contracts refuse, and what they keep."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from k1_contracts import durables, streams, subjects
from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Topic
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.durables import DURABLES, redrive_filter
from k1_contracts.envelope import Envelope, EnvelopeError, envelope_for
from k1_contracts.genesis import Rhythm
from k1_contracts.ids import TrackId, derived_id, new_id
from k1_contracts.messages.analysis import ANALYSIS_QUEUED
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED, GetGenesis

NOW = datetime(2026, 1, 31, 12, 30, 15, 123000, UTC)


class Sample(Contract):
    at: UtcTime
    note: str | None = None


def test_ids_fit_their_pattern_and_sort_by_time() -> None:
    """An id is its type and a body that grows with time."""
    ids = [new_id("trk") for _ in range(50)]
    TypeAdapter(list[TrackId]).validate_python(ids)
    assert len(set(ids)) == 50
    assert ids[0][:10] <= ids[-1][:10]


@given(st.text(), st.text(), st.text())
def test_derived_ids_follow_from_their_parts(a: str, b: str, c: str) -> None:
    """The same parts give the same id, other parts another."""
    assert derived_id("trk", a, b) == derived_id("trk", a, b)
    TypeAdapter(TrackId).validate_python(derived_id("trk", a, b))
    if (a, b) != (a, c):
        assert derived_id("trk", a, b) != derived_id("trk", a, c)


def test_times_are_utc_with_milliseconds() -> None:
    """A time of any zone is written as RFC 3339 in UTC; one without a zone is refused."""
    cet = timezone(timedelta(hours=1))
    assert Sample(at=NOW.astimezone(cet)).to_json() == b'{"at":"2026-01-31T12:30:15.123Z"}'
    with pytest.raises(ValidationError, match="a time needs its zone"):
        Sample(at=datetime(2026, 1, 31))  # noqa: DTZ001


def test_unknown_fields_are_ignored_and_missing_ones_refused() -> None:
    """A message of a newer publisher loads; one without a required field does not."""
    assert Sample.model_validate_json('{"at":"2026-01-31T12:30:15Z","new":1}').note is None
    with pytest.raises(ValidationError):
        Sample.model_validate_json('{"note":"x"}')


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_an_envelope_survives_its_headers(about: str) -> None:
    """Headers -> envelope -> headers is the identity, and the broker's id is the event's."""
    envelope = envelope_for("track.uploaded", event_id="evt_1", source="ingest", about=about, at=NOW)
    headers = envelope.headers()
    assert headers["Nats-Msg-Id"] == headers["ce-id"] == "evt_1"
    assert Envelope.from_headers(headers) == envelope


def test_headers_that_are_no_event_are_named() -> None:
    """The error says which attributes are missing."""
    with pytest.raises(EnvelopeError, match="ce-id, ce-type"):
        Envelope.from_headers({"ce-source": "k1/x", "ce-time": "2026-01-31T12:30:15Z", "ce-subject": "t"})


def test_subjects_of_dead_letters_lead_back() -> None:
    """A redriven message knows the subject it was first published on."""
    again = subjects.redrive("catalogue", TRACK_UPLOADED.subject)
    assert again == "redrive.catalogue.track.uploaded"
    assert subjects.original(again) == subjects.original(TRACK_UPLOADED.subject) == "track.uploaded"


def test_every_durable_can_be_redriven() -> None:
    """Each durable's redrive subject is stored by its own stream, and by no other."""
    homes = {stream.name: durables.stream_subjects(stream) for stream in streams.STREAMS}
    for durable in DURABLES:
        subject = redrive_filter(durable.name)
        assert [name for name, subjects_ in homes.items() if subject in subjects_] == [durable.stream]


@pytest.mark.parametrize(
    ("beats", "downbeats", "strength", "message"),
    [
        ([1.0, 1.0], [], [0, 0], "must rise"),
        ([1.0, 2.0], [1.5], [0, 0], "not a beat"),
        ([1.0, 2.0], [1.0], [0], "one value a beat"),
    ],
)
def test_a_rhythm_that_contradicts_itself_is_refused(beats, downbeats, strength, message) -> None:
    """Beats rise, downbeats are beats, every beat has its strength."""
    with pytest.raises(ValidationError, match=message):
        Rhythm(beat_grid_ms=beats, downbeat_ms=downbeats, beat_strength=strength, tempo_curve=[])


@pytest.mark.parametrize("value", ["1e400", "inf", "-inf", "nan", math.inf, math.nan])
def test_no_message_carries_what_is_no_number(value: object) -> None:
    """Infinity and NaN are refused wherever a contract has a number, written as text, too."""
    with pytest.raises(ValidationError):
        GetGenesis.model_validate({"track_id": new_id("trk"), "version": 1, "from_ms": value})


def test_a_topic_has_a_subject_for_each_value_and_a_pattern_for_all() -> None:
    """NATS knows wildcards for whole tokens only; the pattern of each topic matches its subjects, and a stream's."""
    assert ANALYSIS_QUEUED.subject_for(7) == "work.analysis.p7"
    topics = [message for message in MESSAGES if isinstance(message, Topic)]
    patterns = {topic.pattern for topic in topics}
    assert {"work.analysis.*", "device.*.hello", "command.*.stage", "live.track.*"} <= patterns
    assert all(token == "*" or "*" not in token for pattern in patterns for token in pattern.split("."))
    stored = {name for stream in streams.STREAMS for name in stream.subjects}
    assert {topic.pattern for topic in topics if topic.stream} <= stored
