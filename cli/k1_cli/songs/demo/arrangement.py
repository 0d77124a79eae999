"""Renders a demo song: which instruments play in each section, and the mix."""

from collections.abc import Callable
from typing import Final

import numpy as np

from k1_cli.songs.demo import synth
from k1_cli.songs.demo.song import BEATS_PER_BAR, Bar, DemoSong
from k1_cli.songs.demo.synth import SAMPLE_RATE_HZ, Sound

_STEPS = 16
"""Sixteenths in a bar."""
_BASS_LINE: Final = ((2, 2), (6, 2), (10, 2), (13, 1), (14, 2))
"""Start and length of each note in sixteenths, between the kicks."""
_LEAD_RHYTHM: Final = (0, 3, 6, 8, 11, 14)
_DRIVING: Final = frozenset({"intro", "build", "drop", "outro"})
_PEAK = 10.0 ** (-1.0 / 20.0)
"""-1 dBFS."""


def render(song: DemoSong) -> Sound:
    """Return the song as `(2, samples)` float32 with its peak at -1 dBFS; the same song gives the same samples."""
    return _Mixer(song).mix()


class _Mixer:
    """Mixes three buses: drums, music that is ducked by the kick, and sends to the reverb."""

    def __init__(self, song: DemoSong) -> None:
        self._song = song
        self._rng = np.random.default_rng(song.seed)
        self._drums = np.zeros((2, song.samples), np.float32)
        self._music = np.zeros((2, song.samples), np.float32)
        self._space = np.zeros((2, song.samples), np.float32)
        self._ducking = np.ones(song.samples, np.float32)
        self._cache: dict[tuple[object, ...], Sound] = {}
        self._kick = synth.kick()
        self._clap = synth.clap(self._rng)
        self._closed_hat = synth.hat(0.05, self._rng)
        self._open_hat = synth.hat(0.18, self._rng)
        self._snare = synth.snare(self._rng)
        self._crash = synth.noise(2.5, 3_000.0, 14_000.0, self._rng) * synth.decay(2.5, 0.6)

    def mix(self) -> Sound:
        for bar in self._song.bars:
            self._play_drums(bar)
            self._play_harmony(bar)
            self._play_melody(bar)
            self._play_transitions(bar)
        hall = synth.reverb(self._space, synth.hall(self._rng))
        delay = synth.ping_pong(self._space, 0.75 * self._song.beat_s)
        wet = np.float32(0.5) * hall + np.float32(0.4) * delay
        song = self._drums + self._ducking * (self._music + wet)
        song = np.tanh(np.float32(1.1) * song)
        return song * np.float32(_PEAK / np.max(np.abs(song)))

    def _play_drums(self, bar: Bar) -> None:
        for step in range(_STEPS):
            on_beat, eighth = step % 4 == 0, step % 4 == 2  # noqa: PLR2004  sixteenths in a beat
            if on_beat and self._has_kick(bar):
                self._hit(bar, step, self._kick, 0.95)
                self._duck(bar, step)
            if step in {4, 12} and bar.label == "drop":
                self._hit(bar, step, self._clap, 0.5, space=0.15)
            if eighth and bar.label in {"build", "drop", "outro"}:
                self._hit(bar, step, self._open_hat, 0.22, pan=0.6)
            if self._has_hats(bar, step):
                accent = 0.16 if on_beat or eighth else 0.09
                self._hit(bar, step, self._closed_hat, accent * self._rng.uniform(0.85, 1.0), pan=0.35)
            if bar.label == "breakdown" and on_beat:
                self._hit(bar, step, self._closed_hat, 0.1, space=0.1)

    @staticmethod
    def _has_kick(bar: Bar) -> bool:
        if bar.label == "build":
            return bar.index < bar.count - 1
        return bar.label in _DRIVING

    @staticmethod
    def _has_hats(bar: Bar, step: int) -> bool:
        if bar.label == "drop":
            return True
        return bar.label in _DRIVING and step % 2 == 0 and bar.progress > 0.0

    def _play_harmony(self, bar: Bar) -> None:
        chord = self._chord(bar)
        brightness = {
            "intro": 600.0 + 900.0 * bar.progress,
            "build": 1_000.0 * 6.0**bar.progress,
            "drop": 6_000.0,
            "breakdown": 900.0 + 1_800.0 * bar.progress,
            "outro": 1_500.0 - 800.0 * bar.progress,
        }[bar.label]
        level = {"drop": 0.2, "breakdown": 0.3}.get(bar.label, 0.22)
        self._add(self._music, bar, 0, self._pad(chord, brightness), level, space=0.5)
        if bar.label in {"drop", "outro"}:
            for step, length in _BASS_LINE:
                note = self._sound(("bass", chord[0], length), lambda n=length: self._bass(chord[0], n))
                self._add(self._music, bar, step, note, 0.5)

    def _play_melody(self, bar: Bar) -> None:
        chord = self._chord(bar)
        if bar.label in {"build", "breakdown", "drop"}:
            level = {"build": 0.1 + 0.12 * bar.progress, "breakdown": 0.2, "drop": 0.12}[bar.label]
            for step in range(0, _STEPS, 1 if bar.label == "drop" else 2):
                note = ((*chord, chord[0] + 12)[self._song.arpeggio[step % 8]]) + 12
                sound = self._sound(("pluck", note), lambda n=note: synth.pluck(synth.frequency(n), 0.3))
                self._add(self._music, bar, step, sound, level, pan=0.3 + 0.4 * (step % 2), space=0.6)
        if bar.label == "drop":
            for count, step in enumerate(_LEAD_RHYTHM):
                degree = self._song.melody[(bar.number * 3 + count) % len(self._song.melody)]
                note = (*chord, chord[0] + 12)[degree] + 12
                self._add(self._music, bar, step, self._lead(note), 0.2, space=0.5)

    def _play_transitions(self, bar: Bar) -> None:
        if bar.index == 0 and bar.number > 0:
            self._add(self._drums, bar, 0, self._crash, 0.3 if bar.label == "drop" else 0.15, space=0.1)
        if bar.label != "build":
            return
        spacing = 4 if bar.progress < 0.5 else 2 if bar.index < bar.count - 1 else 1  # noqa: PLR2004  half way
        for step in range(0, _STEPS, spacing):
            rise = (bar.index + step / _STEPS) / bar.count
            self._hit(bar, step, self._snare, 0.1 + 0.3 * rise, space=0.1)
        if bar.index == 0:
            length_s = bar.count * self._song.bar_s
            riser = synth.noise(length_s, 1_500.0, 9_000.0, self._rng)
            ramp = (synth.seconds(length_s) / length_s) ** 2 * synth.swell(length_s, 0.01)
            self._add(self._drums, bar, 0, (riser * ramp).astype(np.float32), 0.16, space=0.3)

    def _chord(self, bar: Bar) -> tuple[int, ...]:
        degrees = self._song.chords[bar.number % len(self._song.chords)]
        return tuple(self._song.root + degree for degree in degrees)

    def _pad(self, chord: tuple[int, ...], brightness: float) -> Sound:
        def play() -> Sound:
            voices = [
                synth.super_saw(synth.frequency(note), self._song.bar_s, cutoff_hz=brightness, rng=self._rng)
                for note in chord
            ]
            return np.sum(voices, axis=0) * synth.swell(self._song.bar_s, 0.03)

        return self._sound(("pad", chord, round(brightness)), play)

    def _bass(self, note: int, steps: int) -> Sound:
        return synth.bass(synth.frequency(note - 24), steps * self._song.beat_s / 4 * 0.95)

    def _lead(self, note: int) -> Sound:
        def play() -> Sound:
            length_s = 0.6 * self._song.beat_s
            voice = synth.super_saw(synth.frequency(note), length_s, cutoff_hz=7_000.0, rng=self._rng)
            return voice * synth.decay(length_s, 0.25) * synth.swell(length_s, 0.005)

        return self._sound(("lead", note), play)

    def _sound(self, key: tuple[object, ...], play: Callable[[], Sound]) -> Sound:
        if key not in self._cache:
            self._cache[key] = play()
        return self._cache[key]

    def _hit(
        self, bar: Bar, step: int, sound: Sound, gain: float, *, pan: float = 0.5, space: float = 0.0
    ) -> None:
        self._add(self._drums, bar, step, sound, gain, pan=pan, space=space)

    def _add(
        self,
        bus: Sound,
        bar: Bar,
        step: int,
        sound: Sound,
        gain: float,
        *,
        pan: float = 0.5,
        space: float = 0.0,
    ) -> None:
        start = self._sample(bar, step)
        sides = np.array([[2.0 * (1.0 - pan)], [2.0 * pan]], np.float32) * np.float32(gain)
        placed = (sides * sound)[:, : bus.shape[1] - start]
        bus[:, start : start + placed.shape[1]] += placed
        if space:
            self._space[:, start : start + placed.shape[1]] += np.float32(space) * placed

    def _duck(self, bar: Bar, step: int) -> None:
        dip = 1.0 - np.float32(0.75) * np.exp(
            -synth.seconds(self._song.beat_s) / np.float32(0.3 * self._song.beat_s)
        )
        start = self._sample(bar, step)
        window = self._ducking[start : start + dip.size]
        np.minimum(window, dip[: window.size], out=window)

    def _sample(self, bar: Bar, step: int) -> int:
        beat = step * BEATS_PER_BAR / _STEPS
        return round(self._song.time(bar.number + beat / BEATS_PER_BAR) * SAMPLE_RATE_HZ)
