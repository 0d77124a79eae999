"""Tests of cursors: a written cursor is read again, other text is rejected."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_platform.cursors import cursor_after, row_before
from k1_platform.nats.queries.rpc import QueryError

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@given(IDS, st.none() | TIMES)
def test_the_last_row_survives_to_the_microsecond(last_id: str, time: datetime | None) -> None:
    """A page begins exactly after the last row of the page before."""
    text = cursor_after("jobs", last_id, time)
    row = row_before(text, "jobs", by_time=time is not None)
    assert row
    assert (row.id, row.time) == (last_id, time)


@given(st.one_of(st.text(), st.binary().map(bytes.hex)))
def test_other_text_is_rejected(text: str) -> None:
    """Other text is an error of the client, never one of the service."""
    with pytest.raises(QueryError) as caught:
        row_before(text, "jobs", by_time=True)
    assert (caught.value.code, caught.value.status) == ("invalid_cursor", 422)


@pytest.mark.parametrize(("walk", "by_time"), [("devices", True), ("jobs", False)])
def test_a_cursor_belongs_to_its_list(walk: str, by_time: bool) -> None:
    """A cursor of another list or sort is rejected, because it would skip rows silently."""
    text = cursor_after("jobs", "job_1", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(QueryError):
        row_before(text, walk, by_time=by_time)
