"""Where time zero lies: how many samples an encoder and a decoder put before the music, and who says so."""

from dataclasses import dataclass
from math import ceil
from typing import Final


@dataclass(frozen=True, slots=True)
class Start:
    """The samples to drop before time zero, and how far that may be wrong."""

    skip: int = 0
    """Samples of the decoder's output, at the file's own rate."""
    bound_ms: float | None = None
    """How far all times may be off; None when the file says where the music begins."""
    reason: str = ""
    """Why the file does not say, as a sentence."""


@dataclass(frozen=True, slots=True)
class _Usual:
    """The delay of the encoders that most files of a codec come from, and how far others differ."""

    skip: int
    reach: int


USUAL: Final = {
    # LAME: 576, the decoder 529 more. Other encoders add between nothing and as much again.
    "mp3": _Usual(1105, 1105),
    # The polyphase filters alone; encoders may add up to a frame.
    "mp2": _Usual(481, 1152),
    # libav's and FAAC 1024, Fraunhofer's 2048, Apple's 2112.
    "aac": _Usual(1024, 1088),
    "ac3": _Usual(256, 256),
    "eac3": _Usual(256, 256),
    # libav drops the first 2048 samples of its own encoder's files; of others nothing is known.
    "wmav1": _Usual(0, 2048),
    "wmav2": _Usual(0, 2048),
}
"""Codecs that cannot begin without a delay, by libav's canonical name."""
_UNKNOWN: Final = _Usual(0, 2048)
"""Every other lossy codec: speech codecs look ahead, filter banks overlap, and none says by how much."""
_WITHOUT_DELAY: Final = frozenset({"vorbis", "opus", "wavpack", "gsm", "gsm_ms"})
_WITHOUT_DELAY_PREFIXES: Final = ("pcm_", "adpcm_", "dsd_")
"""Codecs that lose quality but no time, or whose containers always say how much."""


def has_delay(codec: str, *, lossy: bool) -> bool:
    """Return whether a codec, by libav's canonical name, puts samples before the music."""
    return lossy and codec not in _WITHOUT_DELAY and not codec.startswith(_WITHOUT_DELAY_PREFIXES)


def usual_start(codec: str, rate_hz: int, reason: str | None = None) -> Start:
    """Return the best guess for a file that does not say how much its encoder added."""
    usual = USUAL.get(codec, _UNKNOWN)
    bound_ms = _upwards(1000 * usual.reach / rate_hz)
    usual_ms = round(1000 * usual.skip / rate_hz, 1)
    why = reason or "The file does not say how many samples its encoder added in front of the music."
    done = f" The usual {usual_ms:g} ms were removed." if usual.skip else ""
    return Start(usual.skip, bound_ms, why + done)


def cut_start(samples: int, rate_hz: int) -> Start:
    """Return the start of a stream that was cut: at its first whole frame, which decoders play or pass over."""
    bound_ms = _upwards(1000 * 2 * samples / rate_hz)
    return Start(0, bound_ms, "The file begins in the middle of a stream: its beginning was cut off.")


def _upwards(milliseconds: float) -> float:
    """Return the next tenth: a bound must not lie below what it bounds."""
    return ceil(milliseconds * 10) / 10
