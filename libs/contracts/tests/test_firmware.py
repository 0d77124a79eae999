"""The order of firmware versions."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.firmware import FirmwareVersion

IDENTIFIERS = st.lists(st.from_regex(r"[0-9A-Za-z-]{1,4}", fullmatch=True), max_size=3)
NUMBERS = st.tuples(*[st.integers(0, 99999)] * 3)


@st.composite
def versions(draw: st.DrawFn) -> tuple[str, tuple[int, ...], list[str]]:
    """A version's text, its numbers and its pre-release."""
    numbers, pre, build = draw(NUMBERS), draw(IDENTIFIERS), draw(IDENTIFIERS)
    text = ".".join(map(str, numbers)) + (f"-{'.'.join(pre)}" if pre else "")
    return text + (f"+{'.'.join(build)}" if build else ""), numbers, pre


SEMVER_ORDER = [
    "0.9.9",
    "1.0.0-0",
    "1.0.0-2",
    "1.0.0-11",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]


def test_the_order_of_versions() -> None:
    """The specification's own example, numbers by value, and a pre-release before its release."""
    parsed = [FirmwareVersion.parse(text) for text in SEMVER_ORDER]
    assert sorted(parsed, reverse=True)[::-1] == parsed
    assert all(a < b for a, b in itertools.pairwise(parsed))


@given(versions())
def test_what_follows_a_plus_counts_for_nothing(version: tuple[str, tuple[int, ...], list[str]]) -> None:
    """Nor does it get into the pre-release, whatever hyphens it holds."""
    text, numbers, pre = version
    parsed = FirmwareVersion.parse(text)
    assert (parsed.numbers, parsed.pre_release) == (numbers, tuple(pre))
    assert (
        parsed
        == FirmwareVersion.parse(text.split("+")[0])
        == FirmwareVersion.parse(f"{text.split('+')[0]}+z-9")
    )


@given(versions(), versions(), versions())
def test_versions_are_ordered(
    a: tuple[str, Any, Any], b: tuple[str, Any, Any], c: tuple[str, Any, Any]
) -> None:
    """Exactly one of less, equal and greater holds, and the order is transitive."""
    first, second, third = (FirmwareVersion.parse(version[0]) for version in (a, b, c))
    assert [first < second, first == second, first > second].count(True) == 1
    assert not (first <= second <= third) or first <= third


@pytest.mark.parametrize("text", ["", "1.2", "v1.2.3", "1.2.3.4", "1.2.x", "-1.2.3", "1.2.3 ", "٣.1.1"])
def test_no_version(text: str) -> None:
    """What is no version is said to be none."""
    with pytest.raises(ValueError, match="is no version"):
        FirmwareVersion.parse(text)
