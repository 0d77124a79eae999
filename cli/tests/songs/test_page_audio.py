"""The song in a page is small and in time with the strip."""

import base64
import io

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from k1_cli.errors import CommandError
from k1_cli.songs.page_audio import audio_uri

RATE = 44_100
SECONDS = 6
CLICKS_S = (0.0, 0.5, 2.25, 5.75)


def song() -> NDArray[np.float32]:
    """Return quiet noise with clicks at known times."""
    samples = np.random.default_rng(1).normal(0, 0.003, RATE * SECONDS).astype(np.float32)
    decay = np.exp(-np.arange(1500) / 200) * np.sin(np.arange(1500) * 0.5)
    for at in CLICKS_S:
        samples[int(at * RATE) :][:1500] += (0.8 * decay).astype(np.float32)
    return samples


def encoded(codec: str, container: str, sample_format: str, **options: str) -> bytes:
    """Return the song as a stereo file of that format."""
    written = io.BytesIO()
    with av.open(written, "w", format=container, options=options) as target:
        stream = target.add_stream(codec, rate=RATE, layout="stereo")
        assert isinstance(stream, AudioStream)
        frame = AudioFrame.from_ndarray(np.stack([song()] * 2), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        stream.codec_context.open()
        resampler = av.AudioResampler(sample_format, "stereo", RATE, stream.codec_context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return written.getvalue()


def decoded(data: bytes) -> NDArray[np.float32]:
    """Return the mono samples that a player gets, from the start of the song."""
    with av.open(io.BytesIO(data), "r") as source:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [*source.decode(audio=0), None]
        return np.concatenate([part.to_ndarray()[0] for f in frames for part in resampler.resample(f)])


@pytest.mark.parametrize(
    ("name", "codec", "container", "sample_format"),
    [
        ("a.wav", "pcm_s16le", "wav", "s16"),
        ("a.mp3", "libmp3lame", "mp3", "s16p"),
        ("a.flac", "flac", "flac", "s16"),
    ],
)
def test_every_click_stays_where_it_is(name: str, codec: str, container: str, sample_format: str) -> None:
    """The delay of the encoder is removed: clicks are in time to a millisecond, whatever the format of the song."""
    check_clicks(name, encoded(codec, container, sample_format))


def test_an_mp3_without_a_tag_agrees_with_the_map() -> None:
    """The usual delay of the encoder is removed, as in the engine; junk before the song changes nothing."""
    untagged = encoded("libmp3lame", "mp3", "s16p", write_xing="0", id3v2_version="0")
    check_clicks("a.mp3", bytes(3000) + untagged)


def check_clicks(name: str, original: bytes) -> None:
    kind, _, text = audio_uri(name, original, SECONDS).partition(",")
    assert kind == "data:audio/mp4;base64"
    played, reference = decoded(base64.b64decode(text)), song()
    for at in CLICKS_S:
        start = int(at * RATE)
        wanted = reference[start : start + 1500]
        padded = np.concatenate([np.zeros(1200, np.float32), played])
        found = np.correlate(padded[start : start + 1500 + 2400], wanted)
        assert abs(int(found.argmax()) - 1200) <= RATE // 1000, at


def test_a_long_wav_becomes_small_and_small_aac_stays() -> None:
    """The page has a tenth of a CD's rate; small AAC is not encoded again."""
    wav = encoded("pcm_s16le", "wav", "s16")
    small = base64.b64decode(audio_uri("a.wav", wav, SECONDS).partition(",")[2])
    assert len(small) < len(wav) / 8
    assert base64.b64decode(audio_uri("a.m4a", small, SECONDS).partition(",")[2]) == small


def test_what_cannot_be_decoded_is_refused_in_a_sentence() -> None:
    """The error names `--audio-url` as the alternative."""
    with pytest.raises(CommandError, match=r"a\.wav cannot be put into a page.*--audio-url"):
        audio_uri("a.wav", b"no audio at all", 1.0)
