"""Any container and codec that libav reads, to mono float32 at 44.1 kHz.

Essentia's own loaders are never used: they crash the interpreter on some files and keep the delay that
encoders add. PyAV removes that delay, so time zero is the first sample that the producer rendered.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from k1_analysis.engine.errors import EngineError
from k1_analysis.engine.framing import SAMPLE_RATE_HZ, Floats
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.resample import cleaned, mono, resampled
from k1_analysis.engine.riff import riff_seconds

BLOCK = 10 * SAMPLE_RATE_HZ
SHORTFALL_S = 1.0
SHORTFALL_SHARE = 0.01
"""Decoding less than the container declares by more than both of these is called truncated."""
# Playlists and the like would make libav open other files than the one it was given.
_FORMATS = (
    "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,loas,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,ogg,oma,rm,tak,tta,voc,w64,wav,webm,wsd,wv"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a file once its last sample was read."""

    codec: str
    container: str
    sample_rate_hz: int
    channels: int
    sample_offset: int
    declared_s: float | None
    duration_s: float
    pcm_sha256: str
    not_finite: int
    """Samples that were NaN, infinite or absurdly loud and were silenced."""
    damaged_packets: int

    @property
    def truncated(self) -> bool:
        if self.declared_s is None:
            return False
        shortfall = self.declared_s - self.duration_s
        return shortfall > SHORTFALL_S and shortfall > SHORTFALL_SHARE * self.declared_s


class AudioSource:
    """One file being decoded once, from first to last sample. A context manager.

    Raises:
        EngineError: `decode_failed` when libav cannot read the file, `unsupported` when it holds no audio
            stream that can be decoded, `too_long` when it declares or yields more than the limit.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        limit_s = limits.max_minutes * 60
        self._limit = int(limit_s * SAMPLE_RATE_HZ)
        self._container = _open(path)
        self._stream = _audio_stream(self._container)
        self.declared_s = riff_seconds(path) or _declared_seconds(self._container, self._stream)
        self._digest = sha256()
        self._samples = 0
        self._not_finite = 0
        self._damaged = 0
        self._first_pts_s = 0.0
        self._sample_rate_hz = self._stream.codec_context.sample_rate or SAMPLE_RATE_HZ
        if self.declared_s is not None and self.declared_s > limit_s:
            self.close()
            raise _too_long(self.declared_s, limit_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def blocks(self) -> Iterator[tuple[Floats, list[AudioFrame]]]:
        """Yield mono blocks of BLOCK samples (the last is shorter) with the frames that they came from.

        The frames are interleaved float32 at 44.1 kHz with the file's own channels: what a loudness meter needs.
        """
        frames: list[AudioFrame] = []
        parts: list[Floats] = []
        held = 0
        for received in resampled(self._raw_frames()):
            frame, damaged = cleaned(received)
            self._not_finite += damaged
            frames.append(frame)
            parts.append(mono(frame))
            held += len(parts[-1])
            while held >= BLOCK:
                joined = np.concatenate(parts)
                yield self._finished(joined[:BLOCK]), frames
                parts, frames, held = [joined[BLOCK:]], [], held - BLOCK
        if held:
            yield self._finished(np.concatenate(parts)), frames
        if not self._samples:
            raise EngineError("decode_failed", "The file holds no decodable audio.")

    def decoded(self) -> Decoded:
        """The account of the decoding, once `blocks` is exhausted."""
        context = self._stream.codec_context
        return Decoded(
            codec=context.name,
            container=self._container.format.name,
            sample_rate_hz=self._sample_rate_hz,
            channels=context.channels,
            sample_offset=round(self._first_pts_s * self._sample_rate_hz),
            declared_s=self.declared_s,
            duration_s=self._samples / SAMPLE_RATE_HZ,
            pcm_sha256=self._digest.hexdigest(),
            not_finite=self._not_finite,
            damaged_packets=self._damaged,
        )

    def _finished(self, block: Floats) -> Floats:
        self._samples += len(block)
        self._digest.update(block.tobytes())
        if self._samples > self._limit:
            raise _too_long(self._samples / SAMPLE_RATE_HZ, self._limit / SAMPLE_RATE_HZ)
        return block

    def _raw_frames(self) -> Iterator[AudioFrame]:
        first = True
        for packet in _packets(self._container, self._stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                self._damaged += 1
                continue
            for frame in frames:
                if not frame.samples:
                    continue
                if first:
                    self._first_pts_s = max(0.0, frame.time or 0.0)
                    self._sample_rate_hz = frame.sample_rate
                    first = False
                frame.pts = None  # gaps in the clock of a damaged file must not move later samples
                yield frame


@dataclass(frozen=True, slots=True)
class Audio:
    """A whole decoded file."""

    samples: Floats
    decoded: Decoded


def decode(path: Path, limits: Limits | None = None) -> Audio:
    """The whole of `path` in memory: for plots and experiments; the pipeline streams instead."""
    with AudioSource(path, limits or Limits()) as source:
        samples = np.concatenate([block for block, _ in source.blocks()])
        return Audio(samples, source.decoded())


def _open(path: Path) -> InputContainer:
    try:
        return av.open(
            f"file:{path}",
            metadata_errors="replace",
            options={"protocol_whitelist": "file", "format_whitelist": _FORMATS},
        )
    except (FFmpegError, ValueError) as error:
        raise EngineError(
            "decode_failed", f"The file is not audio that libav can read ({_reason(error)})."
        ) from error


def _reason(error: FFmpegError | ValueError) -> str:
    """What libav says, without the path of the file, which is nobody's business."""
    return error.strerror if isinstance(error, FFmpegError) and error.strerror else "unknown format"


def _audio_stream(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        container.close()
        raise EngineError("unsupported", "The file holds no audio stream.")
    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
    return stream


def _declared_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _packets(container: InputContainer, stream: AudioStream) -> Iterator["Packet[AudioStream]"]:
    # A file that ends in the middle of a packet raises here; what came before is still music.
    with suppress(FFmpegError):
        yield from container.demux(stream)


def _too_long(seconds: float, limit: float) -> EngineError:
    return EngineError("too_long", f"The song is longer ({seconds:.0f} s) than the limit of {limit:.0f} s.")
