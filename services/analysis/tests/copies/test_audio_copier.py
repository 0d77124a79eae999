"""Small copies of songs, with a real worker process and a real object store."""

import io
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from k1_analysis.copies.audio_copier import AudioCopier
from k1_analysis.copies.opus import RATE_HZ
from k1_analysis.overrides.tasks import run_on_request
from k1_audio.reader import AudioReader
from k1_contracts.messages.catalogue.media import CopyAudio
from k1_contracts.tracks import AudioRef
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerLimits
from k1_platform.storage.objects import ObjectStore

RATE = 44_100
SECONDS = 3.0


@pytest.fixture
async def copier(objects: ObjectStore) -> AsyncIterator[AudioCopier]:
    limits = WorkerLimits(timeout_s=600, memory_bytes=1 << 30)
    children = WorkerPool(
        run_on_request, size=1, limits=limits, recycle_after=50, preload=["k1_analysis.overrides.tasks"]
    )
    children.start()
    yield AudioCopier(objects, children)
    children.close()


def bursts(channels: int) -> np.ndarray:
    """Noise in bursts at irregular times, so that only one alignment fits; each channel has its own."""
    rng = np.random.default_rng(channels)
    out = np.zeros((int(SECONDS * RATE), channels), np.float32)
    for number, at in enumerate(np.cumsum(rng.uniform(0.1, 0.3, 10)) * RATE):
        burst = 0.4 * np.exp(-np.arange(4000) / 800) * rng.standard_normal(4000)
        piece = out[int(at) : int(at) + 4000, number % channels]
        piece += burst[: len(piece)].astype(np.float32)
    return out.clip(-1, 1)


async def song(objects: ObjectStore, unique: str, content: bytes, channels: int) -> CopyAudio:
    key = f"audio/{unique}/source.wav"
    await objects.put_bytes(key, content, "audio/wav")
    audio = AudioRef(
        key=key, sha256=sha256(content).hexdigest(), size_bytes=len(content), container="wav", codec="pcm",
        sample_rate_hz=RATE, channels=channels,
    )  # fmt: skip
    return CopyAudio(track_id="trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", audio=audio)


def decoded(path: Path) -> tuple[str, np.ndarray]:
    """Return the codec and the samples (channels, samples) as the analysis would read them."""
    with closing(AudioReader(path)) as reader:
        resampler = av.AudioResampler("fltp", None, RATE_HZ)
        return reader.stream_info.codec, np.concatenate(
            [piece.to_ndarray() for frame in reader.frames() for piece in resampler.resample(frame)], axis=1
        )


@pytest.mark.parametrize(("channels", "heard"), [(1, 1), (2, 2), (6, 2)])
async def test_a_copy_sounds_like_the_song(
    *, copier: AudioCopier, objects: ObjectStore, unique: str, tmp_path: Path, channels: int, heard: int
) -> None:
    """It is Opus, small, of the same length and in time with the song; the same song gives the same bytes."""
    content = io.BytesIO()
    samples = bursts(channels)
    soundfile.write(content, samples, RATE, format="WAV")
    query = await song(objects, unique, content.getvalue(), channels)
    made = await copier.copy(query)
    stored = await objects.get_bytes(made.key)
    assert made.key == f"audio/{query.track_id}/copy.opus"
    assert (made.size_bytes, made.sha256) == (len(stored), sha256(stored).hexdigest())
    assert len(stored) < len(content.getvalue()) / 4
    path = tmp_path / "copy.opus"
    path.write_bytes(stored)
    codec, copy = decoded(path)
    assert (codec, copy.shape[0]) == ("opus", heard)
    assert abs(copy.shape[1] / RATE_HZ - SECONDS) < 0.001
    assert abs(_delay_ms(samples, copy)) < 1.0
    assert await copier.copy(query) == made


def _delay_ms(song: np.ndarray, copy: np.ndarray) -> float:
    """Return by how much the copy is later, from the envelopes of both, in steps of a quarter of a millisecond."""
    step = RATE_HZ // 4000
    there = np.interp(
        np.arange(copy.shape[1]) * RATE / RATE_HZ, np.arange(len(song)), np.abs(song).sum(axis=1)
    )
    loud = [
        each[: len(each) // step * step].reshape(-1, step).mean(axis=1)
        for each in (there, np.abs(copy).sum(axis=0))
    ]
    match = np.correlate(loud[1] - loud[1].mean(), loud[0] - loud[0].mean(), "full")
    return (int(match.argmax()) - (len(loud[0]) - 1)) / 4


@pytest.mark.parametrize(
    ("content", "code"), [(None, "object_missing"), (b"RIFF" + b"\x00" * 400, "audio_copy_failed")]
)
async def test_a_song_that_cannot_be_copied(
    copier: AudioCopier, objects: ObjectStore, unique: str, content: bytes | None, code: str
) -> None:
    query = await song(objects, unique, content or b"x", 2)
    if content is None:
        await objects.delete(query.audio.key)
    with pytest.raises(QueryError) as caught:
        await copier.copy(query)
    assert caught.value.code == code
