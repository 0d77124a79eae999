"""Reads the header in an MP3's first frame: Xing, Info and VBRI headers with LAME's extension.

Sources: gabriel.mp3-tech.org/mp3infotag.html (LAME info tag, revision 1), Fraunhofer's VBRI header as described at
codeproject.com/Articles/8295 (MPEG audio frame header).
"""

from dataclasses import dataclass
from typing import Final

from k1_audio.containers.mpeg_frames import Frame
from k1_audio.containers.tags import Bytes

LONGEST_DELAY: Final = 2304
"""Two frames. LAME and libav write 576; a field full of ones holds 4095."""
USUAL_DELAY: Final = 576
_LAME_FROM_EXTENSION: Final = 21
_CRC_FROM_EXTENSION: Final = 34
_VBRI_AT: Final = 36


@dataclass(frozen=True, slots=True)
class InfoTag:
    """The header in the first frame; None for a missing field."""

    frames: int | None = None
    size_bytes: int | None = None
    delay: int | None = None
    """Samples that the encoder added before the music; only if the header can be trusted."""
    padding: int | None = None
    """Samples that the encoder added after the music."""
    contradicts_itself: bool = False
    """The header holds an impossible delay."""


def read_info_tag(data: Bytes, frame: Frame) -> InfoTag | None:
    """Return the header that this frame holds instead of music; None when it holds music."""
    content = data[frame.at : frame.end]
    if content[_VBRI_AT : _VBRI_AT + 4] == b"VBRI":
        return InfoTag(frames=_number(content, _VBRI_AT + 14), size_bytes=_number(content, _VBRI_AT + 10))
    at = _xing_at(frame) + 2 * frame.header.protected
    if content[at : at + 4] not in {b"Xing", b"Info"}:
        # LAME does not reserve the bytes of a CRC that the frame header declares.
        at = _xing_at(frame)
        if content[at : at + 4] not in {b"Xing", b"Info"}:
            return None
    return _xing(content, at)


def _xing_at(frame: Frame) -> int:
    header = frame.header
    return 4 + ((17 if header.mono else 32) if header.version == 1 else (9 if header.mono else 17))


def _xing(content: bytes, at: int) -> InfoTag:
    flags = _number(content, at + 4) or 0
    at += 8
    frames = _number(content, at) if flags & 1 else None
    at += 4 * bool(flags & 1)
    size = _number(content, at) if flags & 2 else None
    at += 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    extension = content[at : at + _CRC_FROM_EXTENSION + 2]
    if len(extension) < _CRC_FROM_EXTENSION + 2 or not extension[:4].strip(b"\0 "):
        return InfoTag(frames or None, size or None)
    packed = int.from_bytes(extension[_LAME_FROM_EXTENSION : _LAME_FROM_EXTENSION + 3], "big")
    delay, padding = packed >> 12, packed & 0xFFF
    sealed = int.from_bytes(extension[_CRC_FROM_EXTENSION:], "big") == _crc16(
        content[: at + _CRC_FROM_EXTENSION]
    )
    if not packed:
        return InfoTag(frames or None, size or None)
    # Editors change the header without its check sum: the delay that every LAME writes is accepted nevertheless.
    if delay <= LONGEST_DELAY and (sealed or (delay == USUAL_DELAY and extension[:1] == b"L")):
        return InfoTag(frames or None, size or None, delay, padding)
    return InfoTag(frames or None, size or None, contradicts_itself=True)


def _number(content: bytes, at: int) -> int | None:
    field = content[at : at + 4]
    return int.from_bytes(field, "big") if len(field) == 4 else None  # noqa: PLR2004


def _crc16(content: bytes) -> int:
    """Return the CRC-16 with the polynomial 0x8005, bits reflected, from 0."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 * (crc & 1)
    return crc
