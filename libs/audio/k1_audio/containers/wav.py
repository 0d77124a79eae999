"""Reads the header of a WAV file: the format of its samples and the declared length.

Sources: Microsoft's WAVEFORMATEX, WAVEFORMATEXTENSIBLE and ADPCMWAVEFORMAT; EBU Tech 3306 (RF64).
"""

import struct
from dataclasses import dataclass
from typing import Final

from k1_audio.containers.tags import Bytes

_SEARCHED_BYTES: Final = 1 << 20
_MOST_CHUNKS: Final = 1000
_LARGEST_TRUSTED: Final = 0x7FFF_0000
"""Recorders that do not know the length write the largest possible number."""
_PCM, _ADPCM, _FLOAT, _IMA_ADPCM, _EXTENSIBLE = 1, 2, 3, 0x11, 0xFFFE
_RAW_FORMATS: Final = {2: "s16le", 3: "s24le", 4: "s32le"}


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The content of the chunks before the samples."""

    declared_s: float | None
    """Seconds of audio; None for an unknown length and for codecs whose length does not follow from their bytes."""
    raw_format: str | None
    """libav's name of the sample format if libav would misread the header, else None."""
    rate_hz: int
    channels: int
    data_at: int
    data_end: int


def read_wav(data: Bytes, start: int = 0) -> WavHeader | None:
    """Return the header of the RIFF WAV file that begins at `start`; None for everything else."""
    if data[start : start + 4] != b"RIFF" or data[start + 8 : start + 12] != b"WAVE":
        return None
    fmt, fact_samples, at = b"", None, start + 12
    for _ in range(_MOST_CHUNKS):
        head = data[at : at + 8]
        if len(head) < 8 or at - start > _SEARCHED_BYTES:  # noqa: PLR2004
            break
        name, size = struct.unpack("<4sI", head)
        at += 8
        if name == b"fmt ":
            fmt = data[at : at + min(size, 64)]
        elif name == b"fact" and size >= 4:  # noqa: PLR2004
            (fact_samples,) = struct.unpack("<I", data[at : at + 4].ljust(4, b"\0"))
        elif name == b"data":
            return _header(fmt, fact_samples, at, size, len(data)) if len(fmt) >= 16 else None  # noqa: PLR2004
        at += size + size % 2
    return None


@dataclass(frozen=True, slots=True)
class _Format:
    """The `fmt ` chunk."""

    tag: int
    channels: int
    rate_hz: int
    block: int
    """Bytes of one sample of every channel, or of one block of a codec."""
    valid_bits: int
    samples_a_block: int
    """Samples in a block of ADPCM."""


def _format(fmt: bytes) -> _Format:
    tag, channels, rate_hz, _, block, bits = struct.unpack("<HHIIHH", fmt[:16])
    # After the size of the extension: the valid bits or the samples per block, the channel mask, the true format.
    _, second, _, subformat = struct.unpack("<HHIH", fmt[16:26].ljust(10, b"\0"))
    if tag == _EXTENSIBLE:
        return _Format(subformat, channels, rate_hz, block, second, 0)
    return _Format(tag, channels, rate_hz, block, bits, second)


def _header(fmt: bytes, fact_samples: int | None, at: int, size: int, file_size: int) -> WavHeader:
    form = _format(fmt)
    trusted = 0 < size <= _LARGEST_TRUSTED
    return WavHeader(
        declared_s=_declared(form, size, fact_samples) if trusted else None,
        raw_format=_misread(form),
        rate_hz=form.rate_hz,
        channels=form.channels,
        data_at=at,
        data_end=min(at + size, file_size) if trusted else file_size,
    )


def _declared(form: _Format, size: int, fact_samples: int | None) -> float | None:
    """Return the seconds by the size of the samples. The bytes per second are not used, because encoders guess them."""
    if not form.rate_hz or not form.block:
        return None
    if form.tag in {_PCM, _FLOAT}:
        return size / form.block / form.rate_hz
    if form.tag in {_ADPCM, _IMA_ADPCM}:
        whole = size // form.block * form.samples_a_block
        return min(whole, fact_samples or whole) / form.rate_hz
    return None


def _misread(form: _Format) -> str | None:
    """Return the sample format of the container's width if the valid bits would make libav read a smaller one."""
    if form.tag != _PCM or not form.channels or not form.valid_bits or form.block % form.channels:
        return None
    width = form.block // form.channels
    return _RAW_FORMATS.get(width) if -(-form.valid_bits // 8) < width else None
