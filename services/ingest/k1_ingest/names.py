"""Names and words from strangers, made harmless without taking their meaning."""

import unicodedata
from typing import Final

FALLBACK_NAME: Final = "untitled"
_LONGEST_NAME_BYTES: Final = 200
_LONGEST_SUFFIX_BYTES: Final = 16
_RESHAPING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""Marks that only change how the rest is read, such as right-to-left overrides."""


def plain_text(text: str) -> str:
    """One line without control characters, in NFC. Emoji stay, with the joiners that some consist of."""
    usable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    visible = "".join(
        " " if character.isspace() else character
        for character in usable
        if character not in _RESHAPING and (character.isspace() or unicodedata.category(character) != "Cc")
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def plain_name(name: str) -> str:
    """A plain file name: no folders, no control characters, at most 200 bytes of UTF-8, never empty."""
    last = plain_text(name).replace("\\", "/").rsplit("/", 1)[-1].strip(". ")
    return _shortened(last) or FALLBACK_NAME


def stem(name: str) -> str:
    """The name without its extension; never empty for a plain name."""
    return _split(name)[0]


def _split(name: str) -> tuple[str, str]:
    head, dot, suffix = name.rpartition(".")
    if not head.strip(". ") or len(suffix.encode()) > _LONGEST_SUFFIX_BYTES:
        return name, ""
    return head, dot + suffix


def _shortened(name: str) -> str:
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    head, suffix = _split(name)
    room = _LONGEST_NAME_BYTES - len(suffix.encode())
    return head.encode()[:room].decode("utf-8", "ignore").strip(". ") + suffix
