"""The song as a page holds it: small, of a kind that browsers play, and in time after every jump.

AAC in MP4: its edit list says how many samples the encoder put before the song. Chromium plays it to the sample; an MP3
it plays late by the encoder's delay, 25 ms, once a person has jumped, so an MP3 is encoded again as well. The song is
read as the engine reads it, so that the page agrees with the map.
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
_BITS_A_SECOND: Final = 128_000
_SMALL_BYTES_A_SECOND: Final = 40_000


def audio_uri(name: str, data: bytes, duration_s: float) -> str:
    """Return the song inside a page, as a data URI: as it is if it is small AAC, else encoded again.

    Raises:
        CommandError: it cannot be decoded.
    """
    suffix = Path(name).suffix.lower()
    small = suffix == ".m4a" and len(data) <= duration_s * _SMALL_BYTES_A_SECOND
    with NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        try:
            with closing(AudioReader(Path(file.name))) as reader:
                frames = reader.frames()
                first = next(frames, None)
                # A browser knows the delay that the container names, and not the usual one that the engine removes.
                if not small or reader.start.skip:
                    data = _encode_aac(chain([first] if first else [], frames))
        except (FFmpegError, ReadError, ValueError) as error:
            raise CommandError(f"{name} cannot be put into a page: {error}; give --audio-url") from error
    return f"data:audio/mp4;base64,{base64.b64encode(data).decode()}"


def _encode_aac(frames: Iterable[AudioFrame]) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as target:
        stream = target.add_stream("aac", rate=_RATE_HZ, layout="stereo")
        stream.bit_rate = _BITS_A_SECOND
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
