"""Text from outside made safe to show."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.escaping import escape_controls, to_safe_json

_reordering = st.sampled_from("\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\ufffe")
texts = st.lists(st.text(max_size=5) | st.characters(categories=["Cc", "Cs"]) | _reordering, max_size=8).map(
    "".join
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Artist - Song [dQw4w9WgXcQ]", "Artist - Song [dQw4w9WgXcQ]"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\x00", "a\\nb\\tc\\x00"),
        ("gpj.\u202e3pm", "gpj.\\u202e3pm"),
        ("\x9b2J", "\\x9b2J"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
        ("🎧👨‍👩‍👧 été", "🎧👨‍👩‍👧 été"),
    ],
)
def test_known_troubles(text: str, shown: str) -> None:
    """What a terminal acts on is spelled out; brackets, accents and emoji stay."""
    assert escape_controls(text) == shown


@given(texts)
def test_what_is_shown_is_harmless(text: str) -> None:
    """One line of printable characters that any encoding of Unicode takes; the second time changes nothing."""
    shown = escape_controls(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in shown} & {
        "RLO",
        "LRO",
        "RLI",
        "LRI",
        "FSI",
    }
    shown.encode()
    assert escape_controls(shown) == shown
    assert escape_controls(text, keep_lines=True).replace("\n", "\\n") == shown


@given(texts)
def test_text_that_is_printable_stays(text: str) -> None:
    """Nothing that a person could have typed to be seen is touched."""
    typed = "".join(character for character in text if character.isprintable())
    if "\ufeff" not in typed:
        assert escape_controls(typed) == typed


@given(
    st.recursive(
        texts | st.none() | st.booleans() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    )
)
def test_json_means_the_same(value: object) -> None:
    """On one line, harmless as above, and read back as any JSON."""
    line = to_safe_json(value)
    assert escape_controls(line) == line
    assert json.loads(line) == json.loads(json.dumps(value))


def test_json_stays_readable() -> None:
    """Letters of other scripts are not escaped; what JSON cannot hold goes through `default`."""
    assert (
        to_safe_json({"title": "日本語 é", "at": object}, default=lambda _: "x")
        == '{"title": "日本語 é", "at": "x"}'
    )
