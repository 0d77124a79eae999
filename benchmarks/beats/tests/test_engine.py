"""The benchmark takes the estimate from the engine's map."""

import numpy as np
import soundfile

from benchmarks.beats.dataset import AnnotatedTrack
from benchmarks.beats.engine import analyse
from benchmarks.beats.scores import score
from training.beats.songs import SAMPLE_RATE_HZ, make_song


def test_a_plain_dance_track_is_read_from_the_map(tmp_path):
    """Beats, bars, sections, key and confidence all reach the scores, in seconds."""
    song = make_song("edm", 0, "evaluation", 20.0)
    path = tmp_path / "song.flac"
    soundfile.write(path, song.audio, SAMPLE_RATE_HZ)
    edges = [start for start, _, _ in song.truth.sections] + [song.truth.sections[-1][1]]
    track = AnnotatedTrack(
        "song",
        "edm",
        path,
        np.array(song.truth.beats),
        np.array(song.truth.downbeats),
        np.array(edges),
        "A minor",
    )
    estimate = analyse(path)
    scores = score(track, estimate)
    assert scores.f > 0.9
    assert scores.downbeat_f is not None
    assert scores.key is not None
    assert estimate.sections is not None
    assert estimate.sections[-1] > song.truth.beats[-1]
    assert 0 < (scores.confidence or 0) <= 1
    assert scores.tempo_confidence is not None
    assert scores.constant_tempo is True
    assert len(scores.beat_hits) > 20
    assert len(scores.section_hits) > 0
