"""What parses text from outside: cursors and network addresses."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_accounts.paging import read_cursor, write_cursor
from k1_accounts.passwords.rules import MAX_LENGTH, MIN_LENGTH, check_password
from k1_accounts.sign_in.throttle import address_subject
from k1_contracts.ids import new_id
from k1_platform.nats.rpc import QueryError


@given(st.from_regex(r"[A-Za-z0-9_-]{1,400}", fullmatch=True))
def test_any_cursor_is_read_or_refused(text: str) -> None:
    """No cursor that a client makes up leads to another error, or to anything but an id."""
    found = code_or_result(lambda: read_cursor(text))
    assert found == "invalid_cursor" or re.fullmatch(r"[a-z]{3}_[0-9A-Z]{26}", found or "")


def code_or_result(function: Callable[[], str | None]) -> str | None:
    try:
        return function()
    except QueryError as error:
        return error.code


def test_a_cursor_is_read_as_it_was_written() -> None:
    """The first page has none."""
    user_id = new_id("usr")
    assert read_cursor(write_cursor(user_id)) == user_id
    assert read_cursor(None) is None


@given(st.one_of(st.none(), st.text(max_size=60), st.ip_addresses().map(str)))
def test_every_address_has_a_subject(address: str | None) -> None:
    """Also one that is none; it never raises."""
    assert address_subject(address)


@given(st.ip_addresses(v=6, network="2001:db8:1:2::/64").map(str))
def test_one_network_is_one_subject(address: str) -> None:
    """A client has all 2^64 addresses of its network."""
    assert address_subject(address) == "2001:0db8:0001:0002"


@given(st.text(max_size=200))
def test_any_password_is_accepted_or_refused(password: str) -> None:
    """Never with another error; outside the lengths always refused."""
    code = code_or_result(lambda: check_password(password, ("ada@example.org", "Ada")))
    assert code == "weak_password" or (code is None and MIN_LENGTH <= len(password) <= MAX_LENGTH)


@pytest.mark.parametrize("length", [MIN_LENGTH - 1, MAX_LENGTH + 1])
def test_the_length_of_a_password(length: int) -> None:
    """One too few, one too many."""
    with pytest.raises(QueryError, match="characters"):
        check_password("x7Kq9mPz2w" * 20 if length > MAX_LENGTH else "x7Kq9mPz2"[:length])
