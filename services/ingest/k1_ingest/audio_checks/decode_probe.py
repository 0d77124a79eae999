"""Decodes the first second of a song, to prove that it can be analysed. Runs in a child process."""

from contextlib import closing
from pathlib import Path
from typing import Final

from av.error import FFmpegError

from k1_audio.reader import AudioReader, ReadError
from k1_audio.survey import FORMATS
from k1_ingest.audio_checks.audio_info import AudioInfo, ProbeJob
from k1_ingest.audio_checks.song_tags import read_song_tags

MIN_DURATION_S: Final = 1.0
"""The shortest song, in s. Decoding so much also proves that the file can be decoded."""
_UNREADABLE: Final = "The file cannot be decoded; it may be damaged. Export it again and upload the new file."


class ProbeError(Exception):
    """The file is not audio that can be analysed; `code` is the code of the rejection."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def probe_file(job: ProbeJob) -> AudioInfo:
    """Check the container, decode the first second, compare the length with the limit; return the metadata.

    Raises:
        ProbeError: a check failed; it has the code of the rejection.
    """
    try:
        reader = AudioReader(Path(job.path))
    except ReadError as error:
        message = str(error) if error.code == "unsupported" else _UNREADABLE
        raise ProbeError("decode_failed", message) from error
    with closing(reader):
        _require_container(reader, job)
        _require_audio(reader)
        _require_length(reader, job)
        info = reader.stream_info
        declared_s = info.declared_s
        tags = read_song_tags(Path(job.path))
        return AudioInfo(
            codec=info.codec,
            sample_rate_hz=info.sample_rate_hz,
            channels=info.channels,
            declared_ms=None if declared_s is None else round(declared_s * 1000, 1),
            title=tags.title,
            artist=tags.artist,
        )


def _require_container(reader: AudioReader, job: ProbeJob) -> None:
    found, kind = reader.stream_info.container, reader.survey.kind
    if kind != job.container and (kind is not None or FORMATS[job.container] not in found.split(",")):
        message = (
            f"The file starts like {job.container} but is {kind or found}; convert it to {job.container}."
        )
        raise ProbeError("unsupported_format", message)


def _require_audio(reader: AudioReader) -> None:
    decoded_s = 0.0
    try:
        for frame in reader.frames():
            decoded_s += frame.samples / frame.sample_rate
            if decoded_s >= MIN_DURATION_S:
                return
    except (FFmpegError, ValueError) as error:
        raise ProbeError("decode_failed", _UNREADABLE) from error
    if not decoded_s:
        raise ProbeError("decode_failed", _UNREADABLE)
    message = f"The file holds {decoded_s:.3f} s of audio; a song needs at least {MIN_DURATION_S:g} s."
    raise ProbeError("too_short", message)


def _require_length(reader: AudioReader, job: ProbeJob) -> None:
    if reader.is_longer_than(job.max_minutes * 60):
        limit = f"{job.max_minutes:g} minute" + "s" * (job.max_minutes != 1)
        raise ProbeError("too_long", f"The song is longer than the limit of {limit}; shorten it.")
