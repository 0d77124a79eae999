"""Decodes any container and codec that libav reads to mono float32 at 44.1 kHz.

Essentia's own loaders are never used: they crash the interpreter on some files and keep the delay that
encoders add. `k1_audio` removes that delay, so time zero is the first sample that the producer rendered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from av.audio.frame import AudioFrame

from k1_analysis.engine.audio.cancellation import CancellationMeter
from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats
from k1_analysis.engine.audio.resampling import loudest, mono, resample, silence_damage
from k1_analysis.engine.errors import EngineError
from k1_analysis.engine.limits import Limits
from k1_audio.encoder_delay import MusicStart
from k1_audio.reader import TOLERANCE_S, AudioReader, Losses, ReadError

BLOCK = 10 * SAMPLE_RATE_HZ
SHORTFALL_S = 1.0
SHORTFALL_SHARE = 0.01
"""A file is truncated if it decodes to less than its container declares, by more than both of these."""
DAMAGE_WEIGHT = 3.0
"""Factor from the lost share of the music to the lost confidence: after a third is lost, none is left."""
SHIFTED_S = 0.035
"""Half the window in which a beat counts as found: beats after a longer gap may be out of time with the music."""
SHIFTED_TRUST = 0.5


@dataclass(frozen=True, slots=True)
class DecodingReport:
    """What is known of a file after its last sample was read."""

    codec: str
    container: str
    sample_rate_hz: int
    channels: int
    sample_offset: int
    """Samples that were removed in front of the music."""
    start: MusicStart
    """Whether the file says where its music starts."""
    declared_s: float | None
    """The declared length in seconds, if the program that wrote it had counted."""
    duration_s: float
    pcm_sha256: str
    peak: float
    """The peak of the loudest channel."""
    not_finite: int
    """Samples that were NaN, infinite or absurdly loud and were silenced."""
    losses: Losses
    audio_streams: int

    @property
    def truncated(self) -> bool:
        if self.declared_s is None:
            return False
        shortfall = self.declared_s - self.duration_s
        return shortfall > SHORTFALL_S and shortfall > SHORTFALL_SHARE * self.declared_s

    @property
    def damage(self) -> float:
        """Return the share of the music that could not be decoded, 0..1."""
        lost_s = self.losses.seconds + self.not_finite / max(1, self.channels) / SAMPLE_RATE_HZ
        return min(1.0, lost_s / max(self.duration_s, lost_s, 1e-9))

    @property
    def trust(self) -> float:
        """Return the factor 0..1 for confidences in beats: less than 1 if the audio is damaged."""
        kept = max(0.0, 1 - DAMAGE_WEIGHT * self.damage)
        return min(kept, SHIFTED_TRUST) if self.losses.shift_s > SHIFTED_S else kept


class AudioSource:
    """Decodes one file once, from first to last sample. A context manager.

    Args:
        path: the file.
        limits: the greatest length to accept.
        channel: the channel to use as the mono signal; None for the mean of all channels.

    Raises:
        EngineError: `decode_failed` when libav cannot read the file, `unsupported` when it holds no audio
            stream that can be decoded, `too_long` when it holds more than the limit.
    """

    def __init__(self, path: Path, limits: Limits, channel: int | None = None) -> None:
        limit_s = limits.max_minutes * 60
        self._limit = int((limit_s + TOLERANCE_S) * SAMPLE_RATE_HZ)
        self._max_minutes = limits.max_minutes
        self._channel = channel
        try:
            self._reader = AudioReader(path)
        except ReadError as error:
            raise EngineError(error.code, str(error)) from error
        self._digest = sha256()
        self._samples = 0
        self._not_finite = 0
        self._peak = 0.0
        if self._reader.is_longer_than(limit_s):
            self.close()
            raise self._too_long()

    @property
    def declared_s(self) -> float | None:
        """Return the probable length of the file in seconds; None if unknown."""
        return self._reader.stream_info.declared_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    def blocks(self) -> Iterator[tuple[Floats, list[AudioFrame]]]:
        """Yield mono blocks of BLOCK samples (the last is shorter) with the frames that contain them.

        The frames are interleaved float32 at 44.1 kHz with the file's own channels: what a loudness meter needs.
        """
        frames: list[AudioFrame] = []
        parts: list[Floats] = []
        held = 0
        for received in resample(self._reader.frames()):
            frame, damaged = silence_damage(received)
            self._not_finite += damaged
            self._peak = max(self._peak, loudest(frame))
            frames.append(frame)
            parts.append(mono(frame, self._channel))
            held += len(parts[-1])
            while held >= BLOCK:
                joined = np.concatenate(parts)
                yield self._finished(joined[:BLOCK]), frames
                parts, frames, held = [joined[BLOCK:]], [], held - BLOCK
        if held:
            yield self._finished(np.concatenate(parts)), frames
        if not self._samples:
            raise EngineError("decode_failed", "The file holds no decodable audio.")

    def decoded(self) -> DecodingReport:
        """Return the report of the decoding, after `blocks` is exhausted."""
        reader, info = self._reader, self._reader.stream_info
        return DecodingReport(
            codec=info.decoder,
            container=info.container,
            sample_rate_hz=info.sample_rate_hz or SAMPLE_RATE_HZ,
            channels=info.channels,
            sample_offset=reader.removed,
            start=reader.start,
            declared_s=info.declared_s if info.exact else None,
            duration_s=self._samples / SAMPLE_RATE_HZ,
            pcm_sha256=self._digest.hexdigest(),
            peak=self._peak,
            not_finite=self._not_finite,
            losses=reader.losses,
            audio_streams=info.audio_streams,
        )

    def _finished(self, block: Floats) -> Floats:
        self._samples += len(block)
        self._digest.update(block.tobytes())
        if self._samples > self._limit:
            raise self._too_long()
        return block

    def _too_long(self) -> EngineError:
        limit = f"{self._max_minutes:g} minute" + "s" * (self._max_minutes != 1)
        return EngineError("too_long", f"The song is longer than the limit of {limit}; shorten it.")


@dataclass(frozen=True, slots=True)
class Audio:
    """The samples of a whole file, and the report of its decoding."""

    samples: Floats
    decoded: DecodingReport


def decode(path: Path, limits: Limits | None = None, channel: int | None = None) -> Audio:
    """Return the whole of `path` in memory, for plots and experiments; the pipeline streams instead."""
    meter, blocks = CancellationMeter(), list[Floats]()
    with AudioSource(path, limits or Limits(), channel) as source:
        for block, frames in source.blocks():
            blocks.append(block)
            for frame in frames:
                meter.push(frame)
        if channel is None and (stronger := meter.stronger_channel()) is not None:
            return decode(path, limits, stronger)
        return Audio(np.concatenate(blocks), source.decoded())
