"""A real decode of a song's first second; runs in a child process."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from k1_ingest.facts import AudioFacts, ProbeJob
from k1_ingest.sniffing import Container

SHORTEST_S: Final = 1.0
"""Less than this is no song; decoding this much is also the proof that the file decodes."""
_FORMATS: Final[dict[Container, str]] = {
    "mp3": "mp3",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "m4a": "mov",
}
_UNREADABLE: Final = "The file cannot be decoded; it may be damaged. Export it again and upload the new file."


class ProbeError(Exception):
    """The file is not audio that can be analysed; `code` is the upload's refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def probe_file(job: ProbeJob) -> AudioFacts:
    """Open, find the audio stream, decode the first second.

    Raises:
        ProbeError: with a refusal's code.
    """
    try:
        container = av.open(
            f"file:{job.path}",
            metadata_errors="replace",
            # Playlists and the like would make libav open other files than the one it was given.
            options={"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS.values())},
        )
    except (FFmpegError, ValueError) as error:
        raise ProbeError("decode_failed", _UNREADABLE) from error
    with closing(container):
        return _facts(container, job.container)


def _facts(container: InputContainer, sniffed: Container) -> AudioFacts:
    if _FORMATS[sniffed] not in container.format.name.split(","):
        message = (
            f"The file starts like {sniffed} but is {container.format.long_name}; convert it to {sniffed}."
        )
        raise ProbeError("unsupported_format", message)
    if not container.streams.audio:
        raise ProbeError("decode_failed", "The file holds no audio; upload a song.")
    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
    decoded_s = 0.0
    for frame in _frames(container, stream):
        decoded_s += frame.samples / frame.sample_rate
        if decoded_s >= SHORTEST_S:
            break
    if not decoded_s:
        raise ProbeError("decode_failed", _UNREADABLE)
    if decoded_s < SHORTEST_S:
        message = f"The file holds {decoded_s:.3f} s of audio; a song needs at least {SHORTEST_S:g} s."
        raise ProbeError("too_short", message)
    context = stream.codec_context
    return AudioFacts(
        codec=context.codec.canonical_name,
        sample_rate_hz=context.sample_rate,
        channels=context.channels,
        declared_ms=_declared_ms(container, stream),
    )


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Frames until the end or the first unreadable byte; single damaged packets are passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        yield from (frame for frame in frames if frame.samples and frame.sample_rate)


def _declared_ms(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return None
    return round(seconds * 1000, 1) if seconds >= 0 else None
