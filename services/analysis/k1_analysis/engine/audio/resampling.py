"""Converts frames of any format to interleaved float32 at 44.1 kHz, and those to mono.

The frames are interleaved on purpose: reading the planes of a planar frame with more than eight channels through PyAV
18 reads beyond an array and crashes the interpreter.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats
from k1_analysis.engine.errors import EngineError

MAX_CHANNELS = 64
"""The most channels that libav's resampler accepts; files with more are mixed to mono before it."""
LOUDEST = 16.0
"""Samples beyond +-16 (24 dB over full scale) are damage, not music."""
FRAME_SIZE = SAMPLE_RATE_HZ
"""Frames of a second instead of a codec's few milliseconds keep the cost per frame small."""
_FORMAT = "flt"


def resample(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Yield interleaved float32 frames at 44.1 kHz with the channels of the first frame.

    A chained stream may change its format in the middle: then a new resampler is used.

    Raises:
        EngineError: `unsupported` for a channel layout that libav cannot convert.
    """
    resampler: AudioResampler | None = None
    shape: tuple[str, str, int] | None = None
    layout: str | None = None
    for received in frames:
        frame = _mixed(received) if received.layout.nb_channels > MAX_CHANNELS else received
        if shape != (shape := (frame.format.name, frame.layout.name, frame.sample_rate)):
            yield from _flush(resampler)
            layout = layout or frame.layout.name
            resampler = AudioResampler(_FORMAT, layout, SAMPLE_RATE_HZ, frame_size=FRAME_SIZE)
        assert resampler is not None
        try:
            yield from resampler.resample(frame)
        except (FFmpegError, ValueError) as error:
            raise EngineError("unsupported", f"Audio in {shape} cannot be converted: {error}.") from error
    yield from _flush(resampler)


def silence_damage(frame: AudioFrame) -> tuple[AudioFrame, int]:
    """Return an interleaved float32 frame with damaged values set to 0, and the number of those values.

    Values that are NaN, infinite or beyond +-LOUDEST would block or falsify later measurements.
    """
    samples = frame.to_ndarray()
    usable = np.abs(samples) <= LOUDEST  # False for NaN as well
    if usable.all():
        return frame, 0
    silenced = np.where(usable, samples, np.float32(0))
    return _frame(silenced, frame.layout.name, frame.sample_rate), int(np.count_nonzero(~usable))


def loudest(frame: AudioFrame) -> float:
    """Return the peak of all channels of an interleaved float32 frame."""
    samples = frame.to_ndarray()
    return float(max(samples.max(), -samples.min())) if samples.size else 0.0


def channels_of(frame: AudioFrame) -> Floats:
    """Return (samples, channels) of an interleaved float32 frame."""
    return np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.layout.nb_channels)


def mono(frame: AudioFrame, channel: int | None = None) -> Floats:
    """Return (samples,): the mean over the channels of an interleaved float32 frame, or one of them."""
    interleaved = channels_of(frame)
    if channel is not None or interleaved.shape[1] == 1:
        return interleaved[:, channel or 0].copy()
    return interleaved.mean(axis=1, dtype=np.float32)


def mono_frame(frame: AudioFrame) -> AudioFrame:
    """Return the mean over the channels as a mono frame."""
    return _frame(mono(frame)[None, :], "mono", frame.sample_rate)


def _mixed(frame: AudioFrame) -> AudioFrame:
    """Return the mean of very many channels as a mono frame."""
    if frame.format.is_planar:
        raise EngineError("unsupported", f"{frame.layout.nb_channels} planar channels cannot be read.")
    stored = frame.to_ndarray()
    samples = stored.astype(np.float32)
    if stored.dtype == np.uint8:
        samples = samples / 128 - 1
    elif stored.dtype.kind == "i":
        samples /= 2 ** (8 * stored.dtype.itemsize - 1)
    means = samples.reshape(-1, frame.layout.nb_channels).mean(axis=1, dtype=np.float32)
    return _frame(means[None, :], "mono", frame.sample_rate)


def _frame(samples: Floats, layout: str, sample_rate_hz: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples, format=_FORMAT, layout=layout)
    frame.sample_rate = sample_rate_hz
    return frame


def _flush(resampler: AudioResampler | None) -> Iterator[AudioFrame]:
    if resampler is not None:
        yield from resampler.resample(None)
