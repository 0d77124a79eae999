"""Finds time zero: the number of samples that encoder and decoder put before the music."""

from dataclasses import dataclass
from math import ceil
from typing import Final


@dataclass(frozen=True, slots=True)
class MusicStart:
    """The samples to drop before time zero, and the possible error."""

    skip: int = 0
    """Samples of the decoder's output, at the file's own rate."""
    bound_ms: float | None = None
    """Greatest error of all times; None if the file declares where the music begins."""
    reason: str = ""
    """Why the start is uncertain, as a sentence."""


@dataclass(frozen=True, slots=True)
class _Usual:
    """The delay of the most common encoders of a codec, and the greatest difference of others."""

    skip: int
    reach: int


TYPICAL_DELAYS: Final = {
    # LAME: 576, the decoder 529 more. Other encoders add between nothing and as much again.
    "mp3": _Usual(1105, 1105),
    # The polyphase filters alone; encoders may add up to a frame.
    "mp2": _Usual(481, 1152),
    # libav's and FAAC 1024, Fraunhofer's 2048, Apple's 2112.
    "aac": _Usual(1024, 1088),
    "ac3": _Usual(256, 256),
    "eac3": _Usual(256, 256),
    # libav drops the first 2048 samples of its own encoder's files; others are unknown.
    "wmav1": _Usual(0, 2048),
    "wmav2": _Usual(0, 2048),
}
"""Codecs that cannot begin without a delay, by libav's canonical name."""
_UNKNOWN: Final = _Usual(0, 2048)
"""Every other lossy codec: speech codecs look ahead, filter banks overlap, and none declares by how much."""
_WITHOUT_DELAY: Final = frozenset({"vorbis", "opus", "wavpack", "gsm", "gsm_ms"})
_WITHOUT_DELAY_PREFIXES: Final = ("pcm_", "adpcm_", "dsd_")
"""Codecs without a delay, or whose containers always declare it."""


def has_delay(codec: str, *, lossy: bool) -> bool:
    """Return whether a codec, by libav's canonical name, puts samples before the music."""
    return lossy and codec not in _WITHOUT_DELAY and not codec.startswith(_WITHOUT_DELAY_PREFIXES)


def typical_start(codec: str, rate_hz: int, reason: str | None = None) -> MusicStart:
    """Return the best guess for a file that does not declare its encoder's delay."""
    usual = TYPICAL_DELAYS.get(codec, _UNKNOWN)
    bound_ms = _upwards(1000 * usual.reach / rate_hz)
    usual_ms = round(1000 * usual.skip / rate_hz, 1)
    why = reason or "The file does not say how many samples its encoder added in front of the music."
    done = f" The usual {usual_ms:g} ms were removed." if usual.skip else ""
    return MusicStart(usual.skip, bound_ms, why + done)


def truncated_start(samples: int, rate_hz: int) -> MusicStart:
    """Return the start of a stream that was cut: its first whole frame, which decoders play or skip."""
    bound_ms = _upwards(1000 * 2 * samples / rate_hz)
    return MusicStart(0, bound_ms, "The file begins in the middle of a stream: its beginning was cut off.")


def _upwards(milliseconds: float) -> float:
    """Return the value rounded up to a tenth, because a bound must not be too small."""
    return ceil(milliseconds * 10) / 10
