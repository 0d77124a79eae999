"""Writes the demo song: a synthesised EDM track whose beats, downbeats and sections are known exactly.

The music is generated from a seed, so it is free of licences and gives ground truth for beat trackers.
For `k1 demo-song`.
"""

import json
import wave
from dataclasses import asdict
from pathlib import Path

import numpy as np

from k1_cli.songs.demo.arrangement import render
from k1_cli.songs.demo.song import DemoSong, GroundTruth
from k1_cli.songs.demo.synth import SAMPLE_RATE_HZ

_FULL_SCALE = 32_767


def write_demo_song(path: Path, *, bpm: float = 126.0, seconds: float = 60.0, seed: int = 1) -> GroundTruth:
    """Write a 16-bit stereo WAV file, and its ground truth beside it in a JSON file of the same name.

    Raises:
        ValueError: the song cannot have that tempo or length.
    """
    song = DemoSong(bpm=bpm, seconds=seconds, seed=seed)
    pcm = np.round(render(song) * _FULL_SCALE).astype("<i2")
    # Opened here, because the wave module leaves a broken object behind when it cannot open a path.
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm.T.tobytes())
    path.with_suffix(".json").write_text(json.dumps(asdict(song.ground_truth), indent=1))
    return song.ground_truth
