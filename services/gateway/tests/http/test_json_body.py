"""Parsing JSON from clients."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_gateway.http.json_body import MAX_DEPTH, MalformedJsonError, UnusableJsonError, parse_json

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(_JSON)
def test_usable_json_is_parsed_unchanged(value: Any) -> None:
    """The value is the same, whether the text uses escapes or not."""
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b'{"a":1,"b":2,"a":3}',
        b"01",
    ],
)
def test_text_that_is_no_json_is_malformed(text: bytes) -> None:
    """NaN and Infinity are no numbers, and a repeated name is ambiguous."""
    with pytest.raises(MalformedJsonError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b'{"a":[0,{"b":1e400}]}', "a.1.b"),
        (b"-1e999", "the body"),
        (b'{"n":9223372036854775808}', "n"),
        (b'{"n":-1' + b"0" * 5000 + b"}", "n"),
        (b'{"s":"\\ud800"}', "s"),
        (b'{"s":{"\\udfff":1}}', "s"),
    ],
)
def test_unusable_values_are_named(text: bytes, where: str) -> None:
    """Numbers out of range and lone surrogates are reported with their path."""
    with pytest.raises(UnusableJsonError) as caught:
        parse_json(text)
    assert caught.value.where == where


@given(st.integers(0, MAX_DEPTH * 3))
def test_nesting_is_limited(depth: int) -> None:
    """The maximum depth is accepted, one level more is rejected."""
    text = b"[" * depth + b"1" + b"]" * depth
    if depth <= MAX_DEPTH:
        assert parse_json(text) is not None
    else:
        with pytest.raises(MalformedJsonError):
            parse_json(text)


@given(st.binary(max_size=60) | st.text('[]{}":,\\ud80019eE+-.naN ', max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_rejected(text: bytes) -> None:
    """The result is a value that can be written again, or one of the two errors."""
    try:
        value = parse_json(text)
    except (MalformedJsonError, UnusableJsonError):
        return
    assert json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
