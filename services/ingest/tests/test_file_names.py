"""File names and texts of clients, made safe."""

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
def test_known_problem_names_are_sanitized(given_name: str, plain: str) -> None:
    """Folders, control characters and reading-order marks are removed; emoji, accents and the extension stay."""
    assert sanitize_file_name(given_name) == plain


@given(st.text())
def test_a_sanitized_name_is_safe(name: str) -> None:
    """It is one printable component, short and not empty, and sanitizing it again changes nothing."""
    plain = sanitize_file_name(name)
    assert plain
    assert plain not in {".", ".."}
    assert not set(plain) & set("/\\")
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in plain)
    assert len(plain.encode()) <= 200
    assert sanitize_file_name(plain) == plain
    assert stem(plain)


@given(st.text())
def test_sanitized_text_is_one_line(text: str) -> None:
    """It has no line breaks, no NUL (which PostgreSQL rejects), no blanks at the ends; doing it again changes nothing."""
    plain = sanitize_text(text)
    assert plain == plain.strip()
    assert "\x00" not in plain
    assert len(plain.splitlines()) <= 1
    assert sanitize_text(plain) == plain


def test_stems() -> None:
    """The stem is the title of a song without one; a dot that starts no extension stays."""
    names = ("song.mp3", "a.b.mp3", "noext", ".hidden", "Vol. 2 - the long ending of it", "x.")
    stems = ["song", "a.b", "noext", ".hidden", "Vol. 2 - the long ending of it", "x"]
    assert [stem(name) for name in names] == stems
