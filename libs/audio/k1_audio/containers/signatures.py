"""Recognises containers by their first bytes: the magic, and the bytes that follow it in every whole file.

The magic alone is a claim, because four bytes may also stand by chance, or as a remainder, before other audio.

Sources: Microsoft's RIFF, Apple's AIFF, ISO/IEC 14496-12 (boxes), 14496-3 (ADTS), RFC 3533 (Ogg), RFC 8794 (EBML).
"""

import re
from collections.abc import Callable
from typing import Final, Literal

from k1_audio.containers import flac, ogg
from k1_audio.containers.tags import Bytes

Container = Literal["wav", "flac", "ogg", "m4a", "aiff", "adts"]

MAGIC_BYTES: Final = 12
_WAV_MAGICS: Final = frozenset({b"RIFF", b"RF64", b"BW64"})
_MAGICS: Final[dict[bytes, Container]] = {flac.MAGIC: "flac", b"OggS": "ogg"}
_ADTS_SYNC: Final = 0xFFF0
_ADTS_HEADER: Final = 7
_ADTS_RATES: Final = 13
_SMALLEST_FTYP: Final = 16
_LARGEST_FTYP: Final = 4096
_WAV: Final = re.compile(
    rb"(?:RIFF|RF64|BW64)....WAVE(?:fmt ..\0\0|(?!fmt )[ -~]{4}..[\0-\x0f]\0)", re.DOTALL
)
_AIFF: Final = re.compile(
    rb"FORM....AIF[FC](?:COMM|FVER|SSND|MARK|INST|COMT|NAME|AUTH|ANNO|AESD|MIDI|APPL|CHAN|ID3 |\(c\) )",
    re.DOTALL,
)
_BOX: Final = re.compile(rb"[\xa9 -~][ -~]{3}")
_OTHERS: Final = re.compile(
    rb"RIFF....(?!WAVE)[ -~]{8}|FORM....(?!AIF[FC])[ -~]{8}|PK\x03\x04[\0-\x3f][\0-\x13]"
    rb"|\x1a\x45\xdf\xa3.{1,8}?\x42[\x82-\xf7]|\x30\x26\xb2\x75\x8e\x66\xcf\x11|%PDF-|\x7fELF[\1\2][\1\2]|MThd\0\0\0",
    re.DOTALL,
)
"""First bytes of files without audio, or with audio that only libav finds. They may contain consecutive MP3 frames."""
_OTHERS_BYTES: Final = 16


def claimed(data: Bytes, at: int) -> Container | None:
    """Return the container whose magic stands at this position."""
    head = data[at : at + MAGIC_BYTES]
    if head[:4] in _WAV_MAGICS and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[4:8] == b"ftyp":
        return "m4a"
    # Layer 0 does not exist in MPEG-1 and 2 audio: ADTS uses the same sync word with it.
    if len(head) > 1 and int.from_bytes(head[:2], "big") & 0xFFF6 == _ADTS_SYNC:
        return "adts"
    return _MAGICS.get(head[:4])


def confirmed(data: Bytes, at: int) -> Container | None:
    """Return the container whose magic stands here, if the bytes after it are those of such a file."""
    container = claimed(data, at)
    return container if container and _CHECKS[container](data, at) else None


def is_other(data: Bytes, at: int) -> bool:
    """Return whether a file begins here that has no audio, or audio that only libav finds."""
    return bool(_OTHERS.match(data[at : at + _OTHERS_BYTES]))


def _is_wav(data: Bytes, at: int) -> bool:
    return bool(_WAV.match(data[at : at + 20]))


def _is_aiff(data: Bytes, at: int) -> bool:
    return bool(_AIFF.match(data[at : at + 16]))


def _is_mp4(data: Bytes, at: int) -> bool:
    """Return whether the box `ftyp` has a possible size, and another box or the end of the data follows it."""
    size = int.from_bytes(data[at : at + 4], "big")
    following = data[at + size + 4 : at + size + 8]
    return _SMALLEST_FTYP <= size <= _LARGEST_FTYP and (len(following) < 4 or bool(_BOX.match(following)))  # noqa: PLR2004


def _is_adts(data: Bytes, at: int) -> bool:
    """Return whether a frame header stands here, and another one or the end of the data follows its frame."""
    head = data[at : at + _ADTS_HEADER]
    if len(head) < _ADTS_HEADER or head[2] >> 2 & 15 >= _ADTS_RATES:
        return False
    length = int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF
    following = data[at + length : at + length + 2]
    is_next = int.from_bytes(following, "big") & 0xFFF6 == _ADTS_SYNC
    return length >= _ADTS_HEADER and (len(following) < 2 or is_next)  # noqa: PLR2004


_CHECKS: Final[dict[Container, Callable[[Bytes, int], bool]]] = {
    "wav": _is_wav,
    "aiff": _is_aiff,
    "m4a": _is_mp4,
    "adts": _is_adts,
    "flac": flac.is_stream,
    "ogg": ogg.is_stream,
}
