"""Finds in a whole MP3 or MP2 file where its music begins and ends, its length, and the encoder's delay."""

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from k1_audio.containers.info_tag import InfoTag, read_info_tag
from k1_audio.containers.mpeg_frames import (
    Frame,
    FrameHeader,
    candidates,
    consecutive_frames,
    find_first,
    find_start,
    frames,
)
from k1_audio.containers.tags import Bytes, audio_end, leading_end
from k1_audio.encoder_delay import MusicStart, truncated_start, typical_start

_LONGEST_FRAME = 2881
_TRIED_FRAMES = 4
DECODER_DELAY = 529
"""Samples that every decoder of layer III puts before the music: 528 of its filters and 1."""


@dataclass(frozen=True, slots=True)
class MpegStream:
    """The part of an MPEG audio file to decode, and its lengths."""

    kind: Literal["mp3", "mp2"]
    first: int
    """The first byte of the first frame that holds music."""
    end: int
    rate_hz: int
    start: MusicStart
    samples: int | None
    """Samples of music after the start, if the file declares them and its frames agree."""
    counted_s: float
    """Seconds in the frames that exist."""
    lost_s: float
    """Seconds of frames that were destroyed between the others, estimated by their bytes."""
    declared_s: float | None
    """Seconds that the file declares; None unless it holds fewer frames and fewer bytes than declared."""


def read_mpeg(data: Bytes) -> MpegStream | None:
    """Return the MPEG audio stream in a file; None without consecutive frames."""
    end = audio_end(data)
    at = find_start(data, leading_end(data), end)
    if at is None:
        return None
    first, tag = _first_frame(data, at, end)
    header = first.header
    music = first.end if tag else first.at
    count, size, gaps, last = 0, 0, 0, music
    for frame in frames(data, music, end):
        if frame.at != last:
            gaps += frame.at - min(frame.at, leading_end(data, last))
        count, size, last = count + 1, size + frame.header.length, frame.end
    frame_s = header.samples / header.rate_hz
    start = _start(data, first, tag)
    exact = (
        tag is not None
        and tag.delay is not None
        and tag.frames == count
        and not _is_followed(data, last, end)
    )
    samples = _samples(tag, count, header.samples) if exact and tag else None
    return MpegStream(
        kind="mp2" if header.layer == 2 else "mp3",  # noqa: PLR2004
        first=music,
        end=end,
        rate_hz=header.rate_hz,
        start=start,
        samples=samples,
        counted_s=count * frame_s,
        lost_s=_lost_frames(tag, count, gaps / size * count if size else 0.0) * frame_s,
        declared_s=_missing(tag, count, end - first.at, header),
    )


def _lost_frames(tag: InfoTag | None, count: int, by_bytes: float) -> float:
    """Return how many frames are lost, but no more than the file declares."""
    if tag is None or tag.frames is None or tag.frames < count:
        return by_bytes
    return min(by_bytes, tag.frames - count)


def _is_followed(data: Bytes, at: int, end: int) -> bool:
    """Return whether another stream follows, such as one of another rate: libav reads on, so nothing is cut off."""
    return find_first(data, at, end) is not None


def _first_frame(data: Bytes, at: int, end: int) -> tuple[Frame, InfoTag | None]:
    """Return the frame with the info tag and the tag, or the first frame and None.

    Other bytes may look like a frame that ends where a true one begins, with the tagged frame inside.
    """
    row = list(islice(consecutive_frames(data, at, end), _TRIED_FRAMES))
    joints = {frame.at for frame in row} | {row[-1].end}
    for frame in candidates(data, at, row[-1].end):
        if frame.header.layer == 3 and frame.end in joints and (tag := read_info_tag(data, frame)):  # noqa: PLR2004
            return frame, tag
    return row[0], None


def _start(data: Bytes, first: Frame, tag: InfoTag | None) -> MusicStart:
    header = first.header
    if header.layer == 2:  # noqa: PLR2004
        return typical_start("mp2", header.rate_hz)
    if tag is None:
        if _needs_earlier_frames(data, first) or _follows_half_a_frame(data, first):
            return truncated_start(header.samples, header.rate_hz)
        return typical_start("mp3", header.rate_hz)
    if tag.delay is not None:
        return MusicStart(tag.delay + DECODER_DELAY)
    if tag.contradicts_itself:
        reason = "The encoder's delay in the file is damaged."
        return typical_start("mp3", header.rate_hz, reason)
    return typical_start("mp3", header.rate_hz)


def _needs_earlier_frames(data: Bytes, frame: Frame) -> bool:
    """Return whether the frame's data begins in an earlier frame, which the first frame of a stream never does."""
    at = frame.at + 4 + 2 * frame.header.protected
    pointer = data[at : at + 2]
    if len(pointer) < 2:  # noqa: PLR2004
        return False
    return bool(pointer[0] << 1 | pointer[1] >> 7) if frame.header.version == 1 else bool(pointer[0])


def _follows_half_a_frame(data: Bytes, frame: Frame) -> bool:
    """Return whether the bytes before the first frame can be the rest of another frame."""
    before = data[min(leading_end(data), frame.at) : frame.at]
    return len(before) < _LONGEST_FRAME and any(before)


def _samples(tag: InfoTag, count: int, frame_samples: int) -> int | None:
    assert tag.delay is not None
    padding = max(tag.padding or 0, DECODER_DELAY)
    samples = count * frame_samples - tag.delay - padding
    return samples if samples > 0 else None


def _missing(tag: InfoTag | None, count: int, size: int, header: FrameHeader) -> float | None:
    """Return the seconds that the file held when it was written; None if its frame count is only outdated."""
    if tag is None or tag.frames is None or tag.frames <= count:
        return None
    if tag.size_bytes is not None and tag.size_bytes <= size:
        return None
    return (tag.frames * header.samples - (tag.delay or 0) - (tag.padding or 0)) / header.rate_hz
