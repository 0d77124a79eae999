"""Odd headers, channels and damage change a map as little as possible, and never without a warning."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.cancellation import CancellationMeter
from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.resampling import FRAME_SIZE
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.limits import Limits
from k1_analysis.jobs.tasks import summarise
from k1_contracts.tracks import INTEGRITY_WARNING

BEATS = songs.steady(120.0, 12.0, offset_s=0.5)
SONG = songs.song(BEATS)
HALF = np.float32(0.5)
PAD = sum(
    0.12 * np.sin(2 * np.pi * hertz * np.arange(len(SONG)) / songs.RATE) for hertz in (220.0, 277.2, 329.6)
)


def _analyse(path: Path, **options: Any) -> engine.Analysis:
    return engine.analyse_file(path, filename=path.name, **options)


def _codes(analysis: engine.Analysis) -> set[str]:
    return {warning.code for warning in analysis.warnings}


def _assert_beats(analysis: engine.Analysis, beats: np.ndarray = BEATS) -> None:
    """Check that all beats are found, with a median error within 8 ms."""
    found = np.array(analysis.genesis.layers.rhythm.beat_grid_ms) / 1000
    assert f_measure(beats, found) > 0.9
    assert abs(np.median(found[nearest(found, beats)] - beats)) < 0.008


def _mp3(folder: Path) -> bytearray:
    return bytearray(songs.encode(folder / "made.mp3", SONG, "libmp3lame", songs.RATE).read_bytes())


def _write(folder: Path, name: str, content: bytes | bytearray) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "noise", [bytes(3000), b"\r\n", b"\xff\xfb\x90\x64sync words" * 100], ids=["zeros", "lines", "false sync"]
)
def test_other_bytes_before_the_music_move_no_beat(tmp_path: Path, noise: bytes) -> None:
    """The first true frame and the encoder's delay are found, without a warning."""
    plain = decode(_write(tmp_path, "plain.mp3", bytes(_mp3(tmp_path))))
    behind = decode(_write(tmp_path, "behind.mp3", noise + bytes(_mp3(tmp_path))))
    assert behind.decoded.pcm_sha256 == plain.decoded.pcm_sha256
    assert behind.decoded.start.bound_ms is None


def test_an_uncertain_offset_gives_its_bound(tmp_path: Path) -> None:
    """The map carries a warning and the bound as a number."""
    content = _mp3(tmp_path)
    at = content.index(b"Lav", max(content.find(b"Info"), content.find(b"Xing"))) + 21
    content[at : at + 3] = b"\xff\xff\xff"
    analysis = _analyse(_write(tmp_path, "song.mp3", content))
    _assert_beats(analysis)
    [message] = [warning.message for warning in analysis.warnings if warning.code == "offset_uncertain"]
    assert "up to 25.1 ms" in message
    decoder = analysis.genesis.metadata.decoder
    assert decoder is not None
    assert decoder.offset_uncertain_ms == 25.1
    assert summarise(analysis.genesis).pcm_sha256 == analysis.genesis.metadata.hashes.pcm_sha256


def test_a_song_of_exactly_the_limit_is_analysed(tmp_path: Path) -> None:
    """The encoder's padding does not matter; the error for a longer song names the limit."""
    path = songs.encode(tmp_path / "song.mp3", SONG[: 6 * songs.RATE], "libmp3lame", songs.RATE)
    _analyse(path, limits=Limits(max_minutes=0.1))
    with pytest.raises(engine.EngineError, match=r"limit of 0\.05 minutes") as caught:
        _analyse(path, limits=Limits(max_minutes=0.05))
    assert caught.value.code == "too_long"


def test_a_header_alone_refuses_no_song(tmp_path: Path) -> None:
    """A declared length of hours is only a hint, and does not make the song truncated."""
    content = _mp3(tmp_path)
    at = max(content.find(b"Info"), content.find(b"Xing"))
    content[at + 8 : at + 12] = (10_000_000).to_bytes(4, "big")
    analysis = _analyse(_write(tmp_path, "song.mp3", content))
    _assert_beats(analysis)
    assert "truncated" not in _codes(analysis)


def test_wrong_bytes_per_second_truncate_nothing(tmp_path: Path) -> None:
    """The header of an ADPCM file may hold any value for them."""
    content = bytearray(songs.encode(tmp_path / "made.wav", SONG, "adpcm_ms", songs.RATE).read_bytes())
    at = content.index(b"fmt ") + 16
    content[at : at + 4] = struct.pack("<I", 3000)
    assert not decode(_write(tmp_path, "song.wav", content)).decoded.truncated


def test_a_stream_recorded_late_is_whole(tmp_path: Path) -> None:
    """An Opus stream whose clock began long before the recording has no losses."""
    path = tmp_path / "late.opus"
    with av.open(str(path), "w", format="ogg") as output:
        stream = output.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(SONG[None, :], format="fltp", layout="mono")
        frame.sample_rate = songs.RATE
        resampler = av.AudioResampler(stream.format.name, "mono", 48_000, frame_size=960)
        at = 3600 * 48_000
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            piece.pts, piece.time_base = at, Fraction(1, 48_000)
            at += piece.samples
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    decoded = decode(path).decoded
    assert decoded.duration_s == pytest.approx(len(SONG) / songs.RATE, abs=0.1)
    assert not decoded.truncated
    assert not decoded.losses.seconds


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(SONG, -SONG, id="all of it cancels"),
        pytest.param(PAD + HALF * SONG, PAD - HALF * SONG, id="the drums cancel, a chord does not"),
    ],
)
def test_channels_that_cancel_have_beats(tmp_path: Path, left: np.ndarray, right: np.ndarray) -> None:
    """Music that exists only in the difference of the channels has beats and is not silence."""
    analysis = _analyse(songs.write(tmp_path / "song.wav", np.stack([left, right], axis=1)))
    _assert_beats(analysis)
    assert "silent" not in _codes(analysis)


def _meter(frames: np.ndarray) -> int | None:
    meter = CancellationMeter()
    for first in range(0, len(frames), FRAME_SIZE):
        samples = np.ascontiguousarray(frames[first : first + FRAME_SIZE], np.float32).reshape(1, -1)
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[frames.shape[1]]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
        frame.sample_rate = songs.RATE
        meter.push(frame)
    return meter.stronger_channel()


def test_only_cancelling_replaces_the_mean() -> None:
    """Mono, one side only, two songs, surround and small phase differences keep the mean."""
    other = songs.song(BEATS, seed=9)
    size = min(len(SONG), len(other))
    song, other, nothing = SONG[:size], other[:size], np.zeros(size, np.float32)
    normal = {
        "mono": [song],
        "two alike": [song, song],
        "left only": [song, nothing],
        "two songs": [song, np.roll(other, 7777)],
        "delayed": [song, np.roll(song, 400)],
        "wide": [song + 0.7 * other, song - 0.7 * other],
        "surround": [song, other, nothing, song, nothing, other],
        "silence": [nothing, nothing],
    }
    assert {name: _meter(np.stack(each, axis=1)) for name, each in normal.items()} == dict.fromkeys(normal)
    assert _meter(np.stack([0.8 * song, -song], axis=1)) == 1


def test_a_song_that_cancels_in_part_is_not_read_from_the_mean() -> None:
    """A short song whose second half cancels would have no beats there."""
    song = np.concatenate([SONG, SONG])[: 24 * songs.RATE]
    other = np.concatenate([song[: 12 * songs.RATE], -song[12 * songs.RATE :]])
    assert _meter(np.stack([song, other], axis=1)) is not None


@pytest.mark.parametrize(
    ("codec", "name"), [("flac", "song.flac"), ("libmp3lame", "song.mp3"), ("aac", "song.m4a")]
)
def test_heavy_damage_leaves_no_confidence(tmp_path: Path, codec: str, name: str) -> None:
    """After a tenth of the bytes is overwritten, the confidences are near 0 and the track is not ready."""
    content = np.frombuffer(
        songs.encode(tmp_path / f"made-{name}", SONG, codec, songs.RATE).read_bytes(), np.uint8
    ).copy()
    rng = np.random.default_rng(1)
    start, end = len(content) // 10, len(content) * 9 // 10
    hit = np.flatnonzero(rng.random(end - start) < 0.1) + start
    content[hit] = rng.integers(0, 256, len(hit))
    analysis = _analyse(_write(tmp_path, name, content.tobytes()))
    assert "damaged" in _codes(analysis)
    assert (analysis.genesis.global_metrics.confidence or 0) < 0.5
    assert max(analysis.genesis.layers.rhythm.beat_confidence or [0]) <= 0.5
    assert (summarise(analysis.genesis).integrity or 0) < INTEGRITY_WARNING
