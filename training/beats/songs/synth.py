"""A small numpy synthesiser and drum machine: sample-exact onsets for electronic styles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compose import KICK, pick
from .filters import filtered
from .fluid import SAMPLE_RATE_HZ
from .palettes import Palette, Waveform
from .score import Note, Score, Voice

Audio = NDArray[np.float32]
_SNARES = (37, 38, 39, 40)
_CYMBAL = 49
_LEVELS: dict[Voice, float] = {"drums": 0.9, "bass": 0.5, "chords": 0.22, "arp": 0.25, "lead": 0.3}


def play_drums(score: Score, palette: Palette, rng: np.random.Generator) -> Audio:
    """Play the drum voice on a drum machine whose sounds are drawn at random for each song."""
    machine = _drum_machine(palette, rng)
    out = _silence(score)
    for note in score.notes:
        if note.voice == "drums":
            sound = machine.get(note.pitch, machine[0])
            _mix(out, sound, score.onset(note.beat), _LEVELS["drums"] * note.velocity / 100)
    return out


def play_voices(score: Score, voices: Sequence[Voice], palette: Palette, rng: np.random.Generator) -> Audio:
    """Play the pitched voices, each with its own patch, ducked under the kick drum as in dance music."""
    out = _silence(score)
    for voice in voices:
        patch = _Patch.draw(voice, palette, rng)
        track = _silence(score)
        cache: dict[tuple[int, int], Audio] = {}
        for note in score.notes:
            if note.voice == voice:
                _mix(track, patch.sound(note, score, cache), score.onset(note.beat), note.velocity / 100)
        out += _LEVELS[voice] * _sweep(track, score, rng)
    return out * _ducking(score, float(rng.uniform(0.1, 0.7)) if rng.random() < 0.75 else 1.0)


@dataclass(frozen=True)
class _Patch:
    """One synthesiser sound."""

    wave: Waveform
    attack: float
    decay: float
    transpose: int
    tremolo_per_beat: float

    @classmethod
    def draw(cls, voice: Voice, palette: Palette, rng: np.random.Generator) -> "_Patch":
        slow = voice == "chords" and rng.random() < 0.5
        return cls(
            wave=pick(rng, palette.waveforms),
            attack=float(rng.uniform(0.02, 0.12)) if slow else float(rng.uniform(0.001, 0.006)),
            decay=float(rng.uniform(0.6, 3))
            if voice in ("chords", "lead")
            else float(rng.uniform(0.08, 0.6)),
            transpose=pick(rng, (0, 12)) if voice == "arp" else 0,
            tremolo_per_beat=pick(rng, (1.5, 2.0, 3.0)) if voice == "bass" and rng.random() < 0.15 else 0.0,
        )

    def sound(self, note: Note, score: Score, cache: dict[tuple[int, int], Audio]) -> Audio:
        """Return the note's samples; equal pitch and length are computed once."""
        seconds = score.onset(note.beat + note.length) - score.onset(note.beat)
        n = max(400, round(seconds * 200) * SAMPLE_RATE_HZ // 200)
        key = (note.pitch, n)
        if key not in cache:
            hz = 440 * 2 ** ((note.pitch + self.transpose - 69) / 12)
            t = np.arange(n) / SAMPLE_RATE_HZ
            envelope = (
                np.minimum(1, t / self.attack) * np.exp(-t / self.decay) * np.minimum(1, (t[-1] - t) / 0.008)
            )
            if self.tremolo_per_beat:
                envelope *= 0.5 - 0.5 * np.cos(2 * np.pi * t * score.bpm / 60 * self.tremolo_per_beat)
            cache[key] = (_WAVES[self.wave](hz, t) * envelope).astype(np.float32)
        return cache[key]


def _saw(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * (t * hz % 1) - 1


def _supersaw(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    voices = [_saw(hz * 2 ** (cents / 1200), t + 0.37 * cents) for cents in (-11, -4, 5, 12)]
    return np.sum(voices, axis=0) / 2


def _pluck(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    return _saw(hz, t) * np.exp(-t / 0.12)


def _square(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.8 * np.sign(np.sin(2 * np.pi * hz * t) + 0.2)


def _fm(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * hz * t + 2.5 * np.exp(-t / 0.3) * np.sin(4 * np.pi * hz * t))


def _organ(hz: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    partials = ((1, 0.5), (2, 0.3), (3, 0.2), (4, 0.15), (6, 0.1))
    return np.sum([level * np.sin(2 * np.pi * hz * k * t) for k, level in partials], axis=0)


_WAVES: dict[Waveform, Callable[[float, NDArray[np.float64]], NDArray[np.float64]]] = {
    "saw": _saw,
    "supersaw": _supersaw,
    "pluck": _pluck,
    "square": _square,
    "fm": _fm,
    "organ": _organ,
}


def _drum_machine(palette: Palette, rng: np.random.Generator) -> dict[int, Audio]:
    """Return sounds by General MIDI pitch; key 0 serves all other percussion."""
    snare = _clap(rng) if rng.random() < 0.5 else _snare(rng)
    machine = {
        KICK: _kick(float(rng.uniform(*palette.kick_hz)), rng),
        _CYMBAL: 0.5 * _noise_hit(rng, 3000, 0.5),
        42: 0.35 * _noise_hit(rng, 7000, float(rng.uniform(0.015, 0.05))),
        0: 0.4 * _noise_hit(rng, float(rng.uniform(2000, 8000)), float(rng.uniform(0.02, 0.15))),
    }
    return machine | dict.fromkeys(_SNARES, snare)


def _kick(hz: float, rng: np.random.Generator) -> Audio:
    t = np.arange(int(0.5 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = (
        2
        * np.pi
        * np.cumsum(hz + rng.uniform(100, 250) * np.exp(-t / rng.uniform(0.02, 0.045)))
        / SAMPLE_RATE_HZ
    )
    click = rng.normal(0, rng.uniform(0.1, 0.4), len(t)) * np.exp(-t / 0.004)
    return (np.sin(phase) * np.exp(-t / rng.uniform(0.1, 0.3)) + click).astype(np.float32)


def _snare(rng: np.random.Generator) -> Audio:
    t = np.arange(int(0.3 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    body = 0.7 * np.sin(2 * np.pi * rng.uniform(160, 240) * t) * np.exp(-t / 0.06)
    return (body + _noise(rng, len(t), 1500) * np.exp(-t / rng.uniform(0.05, 0.13))).astype(np.float32)


def _clap(rng: np.random.Generator) -> Audio:
    """Return three fast hits, then the tail; the beat is at the first."""
    t = np.arange(int(0.3 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    hits = sum(
        (t >= at) * np.exp(-np.maximum(0, t - at) / decay)
        for at, decay in ((0, 0.01), (0.01, 0.01), (0.021, 0.09))
    )
    return (0.7 * _noise(rng, len(t), 900) * hits).astype(np.float32)


def _noise_hit(rng: np.random.Generator, low_hz: float, decay: float) -> Audio:
    t = np.arange(int(min(1.5, 6 * decay) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (_noise(rng, len(t), low_hz) * np.exp(-t / decay)).astype(np.float32)


def _noise(rng: np.random.Generator, n: int, low_hz: float) -> NDArray[np.float64]:
    return filtered(rng.normal(0, 1, n), 2, low_hz, "highpass")


def _sweep(track: Audio, score: Score, rng: np.random.Generator) -> Audio:
    """Return a low-pass filter that may open over the quieter sections, as builds do."""
    bright = filtered(track, 2, float(rng.uniform(3000, 14000)), "lowpass")
    dark = filtered(track, 2, float(rng.uniform(400, 1500)), "lowpass")
    opening = np.ones(len(track))
    for start, end, label in score.truth().sections:
        if label in ("intro", "build", "breakdown", "outro") and rng.random() < 0.5:
            a, b = int(start * SAMPLE_RATE_HZ), min(len(track), int(end * SAMPLE_RATE_HZ))
            opening[a:b] = np.linspace(rng.uniform(0, 0.3), 1, b - a)
    return (opening * bright + (1 - opening) * dark).astype(np.float32)


def _ducking(score: Score, floor: float) -> Audio:
    """Return the gain that drops to `floor` at each kick and recovers within a quarter of a second."""
    gain = np.ones(int(score.duration * SAMPLE_RATE_HZ), np.float32)
    dip = np.linspace(floor, 1, SAMPLE_RATE_HZ // 4, dtype=np.float32)
    for note in score.notes:
        if note.voice == "drums" and note.pitch == KICK:
            at = int(score.onset(note.beat) * SAMPLE_RATE_HZ)
            part = gain[at : at + len(dip)]
            np.minimum(part, dip[: len(part)], out=part)
    return gain


def _silence(score: Score) -> Audio:
    return np.zeros(int(score.duration * SAMPLE_RATE_HZ), np.float32)


def _mix(out: Audio, sound: Audio, seconds: float, gain: float) -> None:
    at = round(seconds * SAMPLE_RATE_HZ)
    part = out[at : at + len(sound)]
    part += np.float32(gain) * sound[: len(part)]
