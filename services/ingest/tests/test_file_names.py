"""Names from strangers."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.upload_form import sanitize_text
from k1_ingest.form.file_names import FALLBACK_NAME, sanitize_file_name, stem


@pytest.mark.parametrize(
    ("given_name", "plain"),
    [
        ("song.mp3", "song.mp3"),
        ("🎧👨‍👩‍👧 été.mp3", "🎧👨‍👩‍👧 été.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Music\\song.wav", "song.wav"),
        ("a\x00b\r\nc.mp3", "ab c.mp3"),
        ("gpj.\u202e3pm.mp3", "gpj.3pm.mp3"),
        ("..", FALLBACK_NAME),
        ("", FALLBACK_NAME),
        (" . ", FALLBACK_NAME),
        ("e\u0301.mp3", "é.mp3"),
        ("caf\udcff.mp3", "caf\ufffd.mp3"),
        ("x" * 500 + ".flac", "x" * 195 + ".flac"),
    ],
)
def test_known_troubles(given_name: str, plain: str) -> None:
    """Folders, control characters and reading-order tricks go; emoji, accents and the extension stay."""
    assert sanitize_file_name(given_name) == plain


@given(st.text())
def test_a_plain_name_is_harmless(name: str) -> None:
    """Whatever was sent: one component, printable, short, never empty, and plain already when plain again."""
    plain = sanitize_file_name(name)
    assert plain
    assert plain not in {".", ".."}
    assert not set(plain) & set("/\\")
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in plain)
    assert len(plain.encode()) <= 200
    assert sanitize_file_name(plain) == plain
    assert stem(plain)


@given(st.text())
def test_plain_text_is_one_line(text: str) -> None:
    """No line breaks, no NUL (which PostgreSQL refuses), no blanks at the ends; the second time changes nothing."""
    plain = sanitize_text(text)
    assert plain == plain.strip()
    assert "\x00" not in plain
    assert len(plain.splitlines()) <= 1
    assert sanitize_text(plain) == plain


def test_stems() -> None:
    """The title of a song that came without one; a dot that is no extension's stays."""
    names = ("song.mp3", "a.b.mp3", "noext", ".hidden", "Vol. 2 - the long ending of it", "x.")
    stems = ["song", "a.b", "noext", ".hidden", "Vol. 2 - the long ending of it", "x"]
    assert [stem(name) for name in names] == stems
