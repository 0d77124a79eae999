"""What parses text from outside: passwords and network addresses."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_accounts.passwords.rules import MAX_LENGTH, MIN_LENGTH, check_password
from k1_accounts.sign_in.throttle import address_subject
from k1_platform.nats.queries.rpc import QueryError


def code_or_result(function: Callable[[], str | None]) -> str | None:
    try:
        return function()
    except QueryError as error:
        return error.code


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
