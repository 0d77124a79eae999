"""The header Range against the bytes themselves."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from k1_gateway.media.ranges import ByteRange, UnsatisfiableRangeError, requested_range

TAG = '"abc"'
numbers = st.integers(0, 40)


@given(size=numbers, first=numbers, last=st.none() | numbers)
def test_a_range_is_a_slice(size: int, first: int, last: int | None) -> None:
    """It has the bytes of a slice with both ends, cut at the end; an empty slice is unsatisfiable."""
    content = bytes(range(size))
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert requested_range(header, None, TAG, size) is None  # malformed, so it is ignored
        return
    expected = content[first : None if last is None else last + 1]
    if not expected:
        with pytest.raises(UnsatisfiableRangeError):
            requested_range(header, None, TAG, size)
        return
    part = requested_range(header, None, TAG, size)
    assert part is not None
    assert content[part.first : part.last + 1] == expected
    assert (part.length, part.content_range) == (len(expected), f"bytes {part.first}-{part.last}/{size}")


@given(size=numbers, length=numbers)
def test_a_suffix_is_the_end(size: int, length: int) -> None:
    """`bytes=-5` means the last five bytes, or all if there are fewer."""
    content = bytes(range(size))
    expected = content[-length:] if length else b""
    if not expected:
        with pytest.raises(UnsatisfiableRangeError):
            requested_range(f"bytes=-{length}", None, TAG, size)
        return
    part = requested_range(f"bytes=-{length}", None, TAG, size)
    assert part is not None
    assert content[part.first : part.last + 1] == expected


@given(st.text(max_size=30))
@example("bytes=-")
@example("bytes=0-1,3-4")
@example("lines=0-1")
@example("bytes=a-b")
@example("bytes=\u0661-\u0662")
def test_any_other_header_means_the_whole_file(text: str) -> None:
    """Nothing makes it fail, and no part lies outside of the file."""
    try:
        part = requested_range(text, None, TAG, 10)
    except UnsatisfiableRangeError:
        return
    assert part is None or 0 <= part.first <= part.last < 10


def test_if_range_guards_against_other_content() -> None:
    """Only the strong tag of this content lets the part through."""
    assert requested_range("bytes=0-1", TAG, TAG, 10) == ByteRange(0, 1, 10)
    for other in ('"xyz"', f"W/{TAG}", "Sat, 01 Jan 2026 00:00:00 GMT"):
        assert requested_range("bytes=0-1", other, TAG, 10) is None
