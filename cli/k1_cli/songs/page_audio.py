"""Encodes a song for an HTML page: small, in a format that browsers play, and in time after every seek.

The format is AAC in MP4: its edit list says how many samples the encoder put before the song. Chromium plays it
accurate to the sample. After a seek it plays an MP3 late by the encoder's delay of 25 ms, so MP3 is re-encoded too.
The song is decoded by the engine's reader, so that the page agrees with the map.
"""

import base64
import io
from collections.abc import Iterable
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from k1_audio.reader import AudioReader, ReadError
from k1_cli.errors import CommandError

_RATE_HZ: Final = 44_100
_BIT_RATE: Final = 128_000
_SMALL_BYTES_PER_SECOND: Final = 40_000


def audio_uri(name: str, data: bytes, duration_s: float) -> str:
    """Return the song as a data URI for a page: unchanged if it is small AAC, else re-encoded.

    Raises:
        CommandError: the song cannot be decoded.
    """
    suffix = Path(name).suffix.lower()
    small = suffix == ".m4a" and len(data) <= duration_s * _SMALL_BYTES_PER_SECOND
    with NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        try:
            with closing(AudioReader(Path(file.name))) as reader:
                frames = reader.frames()
                first = next(frames, None)
                # A browser skips the delay that the container states, but not the usual one that the engine removes.
                if not small or reader.start.skip:
                    data = _encode_aac(chain([first] if first else [], frames))
        except (FFmpegError, ReadError, ValueError) as error:
            raise CommandError(f"{name} cannot be put into a page: {error}; give --audio-url") from error
    return f"data:audio/mp4;base64,{base64.b64encode(data).decode()}"


def _encode_aac(frames: Iterable[AudioFrame]) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as target:
        stream = target.add_stream("aac", rate=_RATE_HZ, layout="stereo")
        stream.bit_rate = _BIT_RATE
        stream.codec_context.open()
        resampler = AudioResampler("fltp", "stereo", _RATE_HZ, stream.codec_context.frame_size)
        written_samples = 0
        for frame in chain(frames, [None]):
            for part in resampler.resample(frame):
                part.pts, part.time_base = written_samples, Fraction(1, _RATE_HZ)
                written_samples += part.samples
                target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return written.getvalue()
