"""Plays a score's voices with fluidsynth and a General MIDI sound font."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from .score import Score, Voice

SAMPLE_RATE_HZ = 44_100
_TICKS_PER_SECOND = 10_000
_SHORTEST_NOTE = 0.03
_LATENCY = 120
"""Samples from a note's time to the first sound of the sharpest drums (91-161, in steps of fluidsynth's block)."""
_CHANNELS: dict[Voice, int] = {"drums": 9, "bass": 1, "chords": 2, "arp": 3, "lead": 4}
_RELEASE_BEFORE_PRESS = {"note_off": 1, "note_on": 2}


class FluidsynthMissingError(RuntimeError):
    """The fluidsynth program or the sound font is not installed."""


def play(
    score: Score,
    voices: Sequence[Voice],
    programs: Mapping[Voice, int],
    soundfont: Path,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return mono float32 at 44.1 kHz, as long as the score.

    Onsets are exact to fluidsynth's block of 64 samples; each instrument adds its own attack.

    Raises:
        FluidsynthMissingError: the program or the sound font is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        midi = Path(folder, "song.mid")
        _midi(score, voices, programs, rng).save(midi)
        audio = synthesise(midi, soundfont)
    out = np.zeros(int(score.duration * SAMPLE_RATE_HZ), np.float32)
    trimmed = audio[_LATENCY : _LATENCY + len(out)]
    out[: len(trimmed)] = trimmed
    return out


def synthesise(midi: Path, soundfont: Path) -> NDArray[np.float32]:
    """Return the mono sound of a MIDI file, float32 at 44.1 kHz.

    Raises:
        FluidsynthMissingError: the program or the sound font is not installed.
        subprocess.CalledProcessError: fluidsynth cannot play the file.
    """
    if not shutil.which("fluidsynth") or not soundfont.exists():
        raise FluidsynthMissingError(
            f"needs the program fluidsynth and {soundfont}: apt install fluidsynth fluid-soundfont-gm timgm6mb-soundfont"
        )
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder, "song.wav")
        options = ["-ni", "-F", wave, "-r", str(SAMPLE_RATE_HZ), "-g", "0.5", "-O", "float", "-T", "wav"]
        options += ["-o", "synth.dynamic-sample-loading=1", soundfont, midi]
        subprocess.run(
            ["fluidsynth", *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        audio, _ = soundfile.read(wave, dtype="float32", always_2d=True)
    return audio.mean(axis=1)


def _midi(
    score: Score, voices: Sequence[Voice], programs: Mapping[Voice, int], rng: np.random.Generator
) -> mido.MidiFile:
    """Return the MIDI file. One tick is 0.1 ms, so it carries the tempo map, swing and jitter as times."""
    events: list[tuple[int, int, mido.Message]] = []
    for voice in voices:
        channel = _CHANNELS[voice]
        events.append((0, 0, mido.Message("program_change", channel=channel, program=programs[voice])))
        for note in score.notes:
            if note.voice != voice:
                continue
            start = max(0.0, score.onset(note.beat) + rng.normal(0, score.jitter))
            end = max(start + _SHORTEST_NOTE, score.onset(note.beat + note.length) - 0.005)
            velocity = int(np.clip(note.velocity + rng.normal(0, 3), 1, 127))
            for time, kind, level in ((start, "note_on", velocity), (end, "note_off", 0)):
                message = mido.Message(kind, channel=channel, note=note.pitch, velocity=level)
                events.append((round(time * _TICKS_PER_SECOND), _RELEASE_BEFORE_PRESS[kind], message))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000)])
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    file = mido.MidiFile(ticks_per_beat=_TICKS_PER_SECOND)
    file.tracks.append(track)
    return file
