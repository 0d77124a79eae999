"""Detects the container of an upload by its first bytes, and describes files that are no supported audio. Pure."""

from typing import Final, Literal

from k1_audio.containers.tags import Bytes, leading_end
from k1_audio.kinds import find_kind
from k1_ingest.errors import unsupported_format

Container = Literal["mp3", "mp2", "wav", "flac", "ogg", "m4a", "aiff"]

CONTENT_TYPES: Final[dict[Container, str]] = {
    "mp3": "audio/mpeg",
    "mp2": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aiff": "audio/aiff",
}

_OGG_CODECS: Final = {
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
}
_OGG_FIRST_PACKET: Final = 28
_MP4_BRANDS: Final = frozenset(
    {
        b"M4A ",
        b"M4B ",
        b"M4P ",
        b"isom",
        b"iso2",
        b"iso4",
        b"iso5",
        b"iso6",
        b"mp41",
        b"mp42",
        b"dash",
        b"avc1",
    }
)
_KNOWN_OTHER_FILES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"FORM", "an IFF file other than AIFF"),
    (b"\x30\x26\xb2\x75", "a Windows Media file"),
    (b"MThd", "a MIDI file"),
    (b"RIFF", "a RIFF file other than WAV"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_DESCRIBED_BYTES: Final = 4096


def detect_container(data: Bytes) -> Container:
    """Return the container of a file, from the bytes that `k1_audio.kinds.bytes_wanted` asks for.

    Raises:
        UploadRejectedError: `unsupported_format`; the message says what the file is.
    """
    kind, at = find_kind(data), leading_end(data)
    if kind == "adts":
        raise unsupported_format("an AAC stream without a container")
    if kind == "ogg" and not data[at + _OGG_FIRST_PACKET : at + 64].startswith(tuple(_OGG_CODECS)):
        raise unsupported_format(f"an Ogg file without {', '.join(_OGG_CODECS.values())}")
    if kind == "m4a" and (brand := data[at + 8 : at + 12]) not in _MP4_BRANDS:
        raise unsupported_format(f"an MP4 file of the kind {brand.decode('ascii', 'replace')!r}")
    if kind is not None:
        return kind
    if data[:3] == b"ID3":
        return "mp3"  # the probe checks whether there is audio behind the tag
    raise unsupported_format(_description(data[:_DESCRIBED_BYTES]))


def _description(head: bytes) -> str:
    for magic, name in _KNOWN_OTHER_FILES:
        if head.startswith(magic):
            return name
    if _is_text(head):
        return "text"
    return f"of an unknown kind (it starts with {head[:8].hex(' ')})"


def _is_text(head: bytes) -> bool:
    # The head may end in the middle of a character.
    text = head.decode("utf-8", "ignore")
    complete = len(text.encode()) > len(head) - 4
    return complete and all(character.isprintable() or character.isspace() for character in text)
