"""Tests of cursors: a written cursor is read again, other text is rejected."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.tracks.cursors import Cursor, read_cursor, write_cursor
from k1_contracts.ids import new_id
from k1_platform.nats.queries.rpc import QueryError

TRACK = new_id("trk")


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_survive_to_the_microsecond(time: datetime) -> None:
    """A page begins exactly after the last row of the page before."""
    cursor = read_cursor(write_cursor(Cursor.at_time("newest", time, TRACK)), "newest")
    assert (time, TRACK) == (cursor.time, cursor.id)


@given(st.floats(-1, 2**53))
def test_figures_survive_exactly(figure: float) -> None:
    """F-measures and durations are the same after writing and reading a cursor."""
    cursor = Cursor(walk="duration", key=figure, id=TRACK)
    assert cursor == read_cursor(write_cursor(cursor), "duration")


@given(st.one_of(st.text(), st.binary().map(bytes.hex)))
def test_other_text_is_rejected(text: str) -> None:
    """Other text is an error of the client, never one of the service."""
    with pytest.raises(QueryError) as caught:
        read_cursor(text, "newest")
    assert caught.value.code == "invalid_cursor"


def test_a_cursor_belongs_to_its_sort() -> None:
    """A cursor of another sort is rejected, because it would skip rows silently."""
    with pytest.raises(QueryError):
        read_cursor(write_cursor(Cursor(walk="duration", key=1, id=TRACK)), "f_measure")
    with pytest.raises(QueryError):
        read_cursor(write_cursor(Cursor(walk="newest", key=1, id=None)), "newest")


def test_a_title_key_with_nul_is_rejected() -> None:
    """PostgreSQL refuses NUL, so a made-up cursor must not bring it there."""
    text = base64.urlsafe_b64encode(
        json.dumps({"walk": "title", "key": "a\0", "id": TRACK}).encode()
    ).decode()
    with pytest.raises(QueryError) as caught:
        read_cursor(text, "title")
    assert caught.value.code == "invalid_cursor"
