"""A whole MP3 or MP2 file: where its music begins and ends, how long it is, what its encoder added."""

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from k1_audio.containers.info_tag import InfoTag, read_info_tag
from k1_audio.containers.mpeg_frames import (
    Frame,
    FrameHeader,
    candidates,
    chain,
    find_first,
    find_start,
    frames,
)
from k1_audio.containers.tags import Bytes, audio_end, leading_end
from k1_audio.encoder_delay import Start, cut_start, usual_start

_LONGEST_FRAME = 2881
_TRIED_FRAMES = 4
DECODER_DELAY = 529
"""Samples that every decoder of layer III puts in front: 528 of its filters and 1."""


@dataclass(frozen=True, slots=True)
class MpegStream:
    """What is to be decoded of an MPEG audio file."""

    kind: Literal["mp3", "mp2"]
    first: int
    """The first byte of the first frame that holds music."""
    end: int
    rate_hz: int
    start: Start
    samples: int | None
    """Samples of music behind the start, when the file says so and its frames agree."""
    counted_s: float
    """Seconds in the frames that are there."""
    lost_s: float
    """Seconds of frames that damage between the others destroyed, by the bytes that they took."""
    declared_s: float | None
    """Seconds that the file says it holds; None unless it holds fewer frames and fewer bytes than that."""


def read_mpeg(data: Bytes) -> MpegStream | None:
    """Return the MPEG audio stream in a file; None when no frames follow each other."""
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
    """Return how many frames are gone: no more than the file says it had, whatever lies between the others."""
    if tag is None or tag.frames is None or tag.frames < count:
        return by_bytes
    return min(by_bytes, tag.frames - count)


def _is_followed(data: Bytes, at: int, end: int) -> bool:
    """Whether another stream follows, such as one of another rate: libav reads on, and nothing is cut off."""
    return find_first(data, at, end) is not None


def _first_frame(data: Bytes, at: int, end: int) -> tuple[Frame, InfoTag | None]:
    """Return the frame that counts the others, and what it says, or the first one.

    Rubbish may hold a header whose frame ends just where a true one begins, with the counting one inside.
    """
    row = list(islice(chain(data, at, end), _TRIED_FRAMES))
    joints = {frame.at for frame in row} | {row[-1].end}
    for frame in candidates(data, at, row[-1].end):
        if frame.header.layer == 3 and frame.end in joints and (tag := read_info_tag(data, frame)):  # noqa: PLR2004
            return frame, tag
    return row[0], None


def _start(data: Bytes, first: Frame, tag: InfoTag | None) -> Start:
    header = first.header
    if header.layer == 2:  # noqa: PLR2004
        return usual_start("mp2", header.rate_hz)
    if tag is None:
        if _needs_earlier_frames(data, first) or _follows_half_a_frame(data, first):
            return cut_start(header.samples, header.rate_hz)
        return usual_start("mp3", header.rate_hz)
    if tag.delay is not None:
        return Start(tag.delay + DECODER_DELAY)
    if tag.contradicts_itself:
        reason = "The encoder's delay in the file is damaged."
        return usual_start("mp3", header.rate_hz, reason)
    return usual_start("mp3", header.rate_hz)


def _needs_earlier_frames(data: Bytes, frame: Frame) -> bool:
    """Whether the frame's data begins in a frame before it, which is never so in the first of a stream."""
    at = frame.at + 4 + 2 * frame.header.protected
    pointer = data[at : at + 2]
    if len(pointer) < 2:  # noqa: PLR2004
        return False
    return bool(pointer[0] << 1 | pointer[1] >> 7) if frame.header.version == 1 else bool(pointer[0])


def _follows_half_a_frame(data: Bytes, frame: Frame) -> bool:
    """Whether what stands in front of the first frame can be the rest of another one."""
    before = data[min(leading_end(data), frame.at) : frame.at]
    return len(before) < _LONGEST_FRAME and any(before)


def _samples(tag: InfoTag, count: int, frame_samples: int) -> int | None:
    assert tag.delay is not None
    padding = max(tag.padding or 0, DECODER_DELAY)
    samples = count * frame_samples - tag.delay - padding
    return samples if samples > 0 else None


def _missing(tag: InfoTag | None, count: int, size: int, header: FrameHeader) -> float | None:
    """Seconds that were there when the file was written; a count that its own size contradicts is only stale."""
    if tag is None or tag.frames is None or tag.frames <= count:
        return None
    if tag.size_bytes is not None and tag.size_bytes <= size:
        return None
    return (tag.frames * header.samples - (tag.delay or 0) - (tag.padding or 0)) / header.rate_hz
