"""`k1 demo-song`: a synthesised EDM track of which every beat, downbeat and section is known exactly.

It is music of our own, made from a seed: free to ship, and a truth to measure trackers against.
"""

import json
import wave
from dataclasses import asdict
from pathlib import Path

import numpy as np

from k1_cli.songs.demo.arrangement import render
from k1_cli.songs.demo.song import Song, Truth
from k1_cli.songs.demo.synth import SAMPLE_RATE_HZ

_FULL_SCALE = 32_767


def write_demo_song(path: Path, *, bpm: float = 126.0, seconds: float = 60.0, seed: int = 1) -> Truth:
    """Write a 16-bit stereo WAV file, and its truth beside it in a JSON file of the same name.

    Raises:
        ValueError: a tempo or length that the song cannot have.
    """
    song = Song(bpm=bpm, seconds=seconds, seed=seed)
    pcm = np.round(render(song) * _FULL_SCALE).astype("<i2")
    # Opened by us: the wave module leaves a broken object behind when it cannot open a path.
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm.T.tobytes())
    path.with_suffix(".json").write_text(json.dumps(asdict(song.truth), indent=1))
    return song.truth
