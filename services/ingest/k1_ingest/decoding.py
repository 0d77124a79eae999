"""A real decode of a song's first second; runs in a child process."""

from contextlib import closing
from pathlib import Path
from typing import Final

from av.error import FFmpegError

from k1_audio.reader import AudioReader, ReadError
from k1_audio.survey import FORMATS
from k1_ingest.facts import AudioFacts, ProbeJob

SHORTEST_S: Final = 1.0
"""Less than this is no song; decoding this much is also the proof that the file decodes."""
_UNREADABLE: Final = "The file cannot be decoded; it may be damaged. Export it again and upload the new file."


class ProbeError(Exception):
    """The file is not audio that can be analysed; `code` is the upload's refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def probe_file(job: ProbeJob) -> AudioFacts:
    """Open, find the audio stream, decode the first second, and measure what may be too long.

    Raises:
        ProbeError: with a refusal's code.
    """
    try:
        reader = AudioReader(Path(job.path))
    except ReadError as error:
        message = str(error) if error.code == "unsupported" else _UNREADABLE
        raise ProbeError("decode_failed", message) from error
    with closing(reader):
        _require_kind(reader, job)
        _require_music(reader)
        _require_length(reader, job)
        facts = reader.facts
        declared_s = facts.declared_s
        return AudioFacts(
            codec=facts.codec,
            sample_rate_hz=facts.sample_rate_hz,
            channels=facts.channels,
            declared_ms=None if declared_s is None else round(declared_s * 1000, 1),
        )


def _require_kind(reader: AudioReader, job: ProbeJob) -> None:
    found, kind = reader.facts.container, reader.survey.kind
    if kind != job.container and (kind is not None or FORMATS[job.container] not in found.split(",")):
        message = (
            f"The file starts like {job.container} but is {kind or found}; convert it to {job.container}."
        )
        raise ProbeError("unsupported_format", message)


def _require_music(reader: AudioReader) -> None:
    decoded_s = 0.0
    try:
        for frame in reader.frames():
            decoded_s += frame.samples / frame.sample_rate
            if decoded_s >= SHORTEST_S:
                return
    except (FFmpegError, ValueError) as error:
        raise ProbeError("decode_failed", _UNREADABLE) from error
    if not decoded_s:
        raise ProbeError("decode_failed", _UNREADABLE)
    message = f"The file holds {decoded_s:.3f} s of audio; a song needs at least {SHORTEST_S:g} s."
    raise ProbeError("too_short", message)


def _require_length(reader: AudioReader, job: ProbeJob) -> None:
    if reader.is_longer_than(job.max_minutes * 60):
        limit = f"{job.max_minutes:g} minute" + "s" * (job.max_minutes != 1)
        raise ProbeError("too_long", f"The song is longer than the limit of {limit}; shorten it.")
