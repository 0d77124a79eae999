"""Which container a file is, by its first bytes."""

from collections.abc import Callable
from typing import Final, Literal

from k1_ingest.errors import unsupported_format

Container = Literal["mp3", "wav", "flac", "ogg", "m4a"]

HEAD_BYTES: Final = 4096
"""Enough to see two frames of an MP3, whose frames have at most 1441 bytes."""

CONTENT_TYPES: Final[dict[Container, str]] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
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
_NOT_AUDIO: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"FORM", "an AIFF file"),
    (b"\x30\x26\xb2\x75", "a Windows Media file"),
    (b"MThd", "a MIDI file"),
    (b"RIFF", "a RIFF file other than WAV"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_KBITS_MPEG1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_MPEG2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_MPEG1: Final = (44100, 48000, 32000)
_MPEG1, _MPEG2, _MPEG25 = 3, 2, 0
_LAYER_3: Final = 1


def container_of(head: bytes) -> Container:
    """The container of a file that starts with `head` (HEAD_BYTES of it, or all there is).

    Raises:
        UploadRefusedError: `unsupported_format`; the message says what was seen instead.
    """
    for container, matches in _MATCHERS:
        if matches(head):
            return container
    raise unsupported_format(_description(head))


def _is_wav(head: bytes) -> bool:
    return head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE"


def _is_flac(head: bytes) -> bool:
    return head.startswith(b"fLaC")


def _is_ogg(head: bytes) -> bool:
    if not head.startswith(b"OggS"):
        return False
    if not head[_OGG_FIRST_PACKET:].startswith(tuple(_OGG_CODECS)):
        raise unsupported_format(f"an Ogg file without {', '.join(_OGG_CODECS.values())}")
    return True


def _is_m4a(head: bytes) -> bool:
    if head[4:8] != b"ftyp":
        return False
    if (brand := head[8:12]) not in _MP4_BRANDS:
        raise unsupported_format(f"an MP4 file of the kind {brand.decode('ascii', 'replace')!r}")
    return True


def _is_mp3(head: bytes) -> bool:
    if head.startswith(b"ID3"):
        return True
    first = mp3_frame_bytes(head[:4])
    if first is None:
        return False
    second = head[first : first + 4]
    return len(second) < 4 or mp3_frame_bytes(second) is not None  # noqa: PLR2004  a frame header


_MATCHERS: Final[tuple[tuple[Container, Callable[[bytes], bool]], ...]] = (
    ("wav", _is_wav),
    ("flac", _is_flac),
    ("ogg", _is_ogg),
    ("m4a", _is_m4a),
    ("mp3", _is_mp3),
)


def mp3_frame_bytes(header: bytes) -> int | None:
    """The length of the MPEG layer III frame with this 4-byte header; None when it is none.

    Source: ISO/IEC 11172-3 and 13818-3, frame header.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:  # noqa: PLR2004  eleven sync bits
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbits_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    halvings = {_MPEG1: 1, _MPEG2: 2, _MPEG25: 4}
    kbits = _KBITS_MPEG1 if version == _MPEG1 else _KBITS_MPEG2
    # Index 0 is "free format", whose length no header tells.
    if layer != _LAYER_3 or version not in halvings or not 0 < kbits_index < len(kbits):
        return None
    if rate_index >= len(_RATES_MPEG1):
        return None
    rate = _RATES_MPEG1[rate_index] // halvings[version]
    return (144 if version == _MPEG1 else 72) * kbits[kbits_index] * 1000 // rate + padding


def _description(head: bytes) -> str:
    for magic, name in _NOT_AUDIO:
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
