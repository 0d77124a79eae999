"""Generates songs with exactly known beats, and files of many formats. For tests only."""

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 44_100
Samples = NDArray[np.float32]


def _decaying(length_s: float, rate: float) -> NDArray[np.float64]:
    return np.exp(-np.arange(int(length_s * RATE)) / RATE * rate)


def _mix(target: NDArray[np.float64], sound: NDArray[np.float64], at_s: float) -> None:
    start = round(at_s * RATE)
    room = target[start : start + len(sound)]
    room += sound[: len(room)]


def song(beats: NDArray[np.float64], meter: int = 4, seed: int = 0, parts: int = 2) -> Samples:
    """Return a song: kick and bass on downbeats, snare or hat on other beats, hats between, a chord for each bar."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int((beats[-1] + 1.0) * RATE))
    times = np.arange(int(0.25 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * times + 4 * (1 - np.exp(-30 * times)))) * np.exp(-times * 14)
    snare = rng.normal(0, 0.4, int(0.15 * RATE)) * _decaying(0.15, 30)
    hat = np.diff(rng.normal(0, 0.3, int(0.05 * RATE) + 1)) * _decaying(0.05, 90)
    for index, beat in enumerate(beats):
        _mix(out, hat, beat)
        position = index % meter
        _mix(out, kick if position in {0, 2} else snare, beat)
        interval = beats[min(index + 1, len(beats) - 1)] - beats[min(index, len(beats) - 2)]
        for part in range(1, parts):
            _mix(out, 0.6 * hat, beat + interval * part / parts)
        if position == 0:
            root = (220.0, 174.61, 261.63, 196.0)[index // meter % 4]
            held = np.arange(int(interval * meter * 0.95 * RATE)) / RATE
            chord = sum(np.sin(2 * np.pi * root * ratio * held) for ratio in (0.5, 1.0, 1.26, 1.5))
            _mix(out, 0.08 * chord * np.exp(-held), beat)
    return (0.8 * out / np.abs(out).max()).astype(np.float32)


def steady(bpm: float, seconds: float, offset_s: float = 0.0) -> NDArray[np.float64]:
    """Return the beats of a constant tempo."""
    return np.arange(offset_s, seconds, 60 / bpm)


def struck(sound: NDArray[np.float64], times: NDArray[np.float64], seconds: float) -> Samples:
    """Return silence with one sound at each of the times."""
    out = np.zeros(int(seconds * RATE))
    for time in times:
        _mix(out, sound, time)
    return out.astype(np.float32)


def drums(
    bpm: float, seconds: float, *, kick: tuple[float, ...], snare: tuple[float, ...], hats: int
) -> Samples:
    """Return bars of four from 0.5 s: kick and snare at their places (in beats), and so many hats a beat."""
    rng = np.random.default_rng(1)
    bars = steady(bpm / 4, seconds - 1, 0.5)
    hat = np.diff(rng.normal(0, 0.1, int(0.05 * RATE) + 1)) * _decaying(0.05, 90)
    time = np.arange(int(0.2 * RATE)) / RATE
    thump = 0.7 * np.sin(2 * np.pi * (50 * time + 4 * (1 - np.exp(-30 * time)))) * _decaying(0.2, 14)
    crack = rng.normal(0, 0.28, int(0.15 * RATE)) * _decaying(0.15, 30)
    out = struck(hat, steady(bpm * hats, seconds - 1, 0.5), seconds)
    for sound, places in ((thump, kick), (crack, snare)):
        out += struck(sound, (bars[:, None] + 60 / bpm * np.array(places)).ravel(), seconds)
    return out.clip(-1, 1)


def metronome(beats: NDArray[np.float64], seconds: float, accented: int = 4) -> Samples:
    """Return a click at each beat, higher and louder at each that begins a bar."""
    out = np.zeros(int(seconds * RATE), np.float32)
    first = np.arange(len(beats)) % accented == 0
    time = np.arange(int(0.02 * RATE)) / RATE
    for hertz, level, times in ((1500, 0.8, beats[first]), (1000, 0.6, beats[~first])):
        out += struck(level * np.sin(2 * np.pi * hertz * time) * _decaying(0.02, 200), times, seconds)
    return out


def write(path: Path, samples: NDArray[Any], rate: int = RATE, subtype: str | None = None) -> Path:
    """Write a file in the format of the path's suffix, and return its path."""
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def encode(path: Path, samples: Samples, codec: str, rate: int = 48_000) -> Path:
    """Write a compressed file with libav, in the container of the path's suffix, and return its path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format.name, "stereo", rate, frame_size=stream.frame_size or 960)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def wav_bytes(samples: Samples) -> bytearray:
    """Return a 16-bit WAV file in memory."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV", subtype="PCM_16")
    return bytearray(buffer.getvalue())


def declaring(wav: bytearray, data_bytes: int) -> bytearray:
    """Return the same WAV with another length in its header."""
    at = wav.index(b"data") + 4
    wav[at : at + 4] = struct.pack("<I", data_bytes)
    return wav
