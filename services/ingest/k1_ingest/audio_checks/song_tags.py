"""Reads title and artist from a song's own tags with libav: ID3, Vorbis comments, MP4 atoms, AIFF and RIFF chunks.

Tags hold anything: other encodings than they declare, control characters, whole web pages. Runs in a child process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.error import FFmpegError

from k1_contracts.upload_form import MAX_ARTIST_LENGTH, MAX_TITLE_LENGTH, sanitize_text

_FORMATS: Final = "aac,aiff,flac,mov,mp3,ogg,wav,w64"
_MAX_READ: Final = 4096
"""Characters of a tag that are looked at; a title or an artist has at most 300."""


@dataclass(frozen=True, slots=True)
class SongTags:
    """Title and artist as the file names them; None for what it does not name."""

    title: str | None = None
    artist: str | None = None


def read_song_tags(path: Path) -> SongTags:
    """Return the tags of a file; none where libav cannot read the file, which is no reason to refuse a song."""
    options = {"protocol_whitelist": "", "format_whitelist": _FORMATS}
    try:
        with (
            path.open("rb") as file,
            av.open(file, "r", metadata_errors="surrogateescape", options=options) as container,
        ):
            return choose_tags(container.metadata, *(stream.metadata for stream in container.streams.audio))
    except (FFmpegError, ValueError, OSError, AssertionError):
        return SongTags()


def choose_tags(*found: Mapping[str, str]) -> SongTags:
    """Return title and artist from the tags of the container and of its streams; the first that has one wins. Pure."""
    named: dict[str, str] = {}
    for tags in found:
        for name, value in tags.items():
            if text := clean_tag(value):
                named.setdefault(name.casefold(), text)
    title, artist = named.get("title"), named.get("artist") or named.get("album_artist")
    return SongTags(_shorten(title, MAX_TITLE_LENGTH), _shorten(artist, MAX_ARTIST_LENGTH))


def clean_tag(value: str) -> str:
    """Return the tag as one clean line. Bytes that are not UTF-8 are Windows-1252, as old ID3 tags mostly are.

    `value` holds such bytes as lone surrogates (`surrogateescape`). A NUL ends a text.
    """
    raw = value[:_MAX_READ].encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    return sanitize_text(text.partition("\0")[0])


def _shorten(text: str | None, length: int) -> str | None:
    return text[:length].rstrip() or None if text else None
