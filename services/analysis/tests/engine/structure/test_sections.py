"""Tests sections: where they begin, their drops and their labels."""

import numpy as np
import pytest

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio import tonal
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.structure import sections


def _sections(samples: np.ndarray, downbeats: np.ndarray) -> list[sections.Section]:
    tones = tonal.TonalExtractor()
    tones.push(samples)
    duration_s = len(samples) / songs.RATE
    return sections.find_sections(extract(samples), tones.finish(), downbeats, duration_s, electronic=True)


def test_section_begins_on_the_bar_where_the_music_changes() -> None:
    """When the cymbals and the snare come in, the boundary is that very downbeat, and there is no other."""
    beats = songs.steady(120.0, 48.0)
    samples = songs.song(beats)
    dull = np.convolve(samples, np.full(60, 1 / 60, np.float32), "same")
    change = int(beats[48] * songs.RATE)
    parts = _sections(np.concatenate([dull[:change], samples[change:]]).astype(np.float32), beats[::4])
    assert [part.start_s for part in parts] == [0.0, pytest.approx(beats[48])]
    assert parts[0].energy < parts[1].energy


def test_the_drop_is_where_the_bass_comes_back() -> None:
    """A riser that grows over eight bars, a bar without bass, the full groove: the drop begins there and not before."""
    beats = songs.steady(120.0, 48.0)
    groove = songs.song(beats)
    time = np.arange(len(groove)) / songs.RATE
    bass = np.where(time < 24, 0.2, 0.3) * np.sin(2 * np.pi * 55 * time)
    noise = np.diff(np.random.default_rng(0).normal(0, 0.3, len(groove) + 1))
    riser = np.where((time > 8) & (time < 24), (time - 8) / 16, 0) * noise
    held_back = (time >= 22) & (time < 24)
    samples = 0.5 * (np.where(held_back, 0, groove + bass) + riser)
    parts = _sections(samples.astype(np.float32), beats[::4])
    assert [part.label for part in parts] == ["intro", "build", "drop"]
    assert parts[-1].start_s == 24.0


def test_unchanging_music_is_one_section() -> None:
    """A groove that only continues has no boundaries, with bars and without."""
    beats = songs.steady(120.0, 40.0)
    samples = songs.song(beats)
    assert len(_sections(samples, beats[::4])) == 1
    assert len(_sections(samples, np.empty(0))) == 1
    assert len(_sections(samples[:2000], np.empty(0))) == 1


@pytest.mark.parametrize(
    ("bass_db", "rises_db", "energies", "labels"),
    [
        ((-12, -10, -20, -10), (0, 3, 0, 0), (0.75, 0.89, 0.53, 0.84), "intro drop breakdown drop"),
        ((-12, -10, -20, -10), (3, 0, 3, 0), (0.6, 0.9, 0.4, 0.9), "intro drop build drop"),
        ((-12, -12, -11, -10), (0, 0, 0, 0), (0.8, 0.6, 0.9, 0.85), "section build drop section"),
    ],
    ids=["full opening", "rising parts", "no drop after the opening"],
)
def test_labels_of_an_opening_a_breakdown_and_a_build(
    bass_db: tuple[float, ...], rises_db: tuple[float, ...], energies: tuple[float, ...], labels: str
) -> None:
    """The part before the first drop is an intro, however full; without bass only a rising part is a build."""
    parts = [
        sections._Part(
            16.0 * i, 16.0 * i + 16, (bass, -20, -30), -12, 0.1, rise, False, np.ones(3, np.float32)
        )
        for i, (bass, rise) in enumerate(zip(bass_db, rises_db, strict=True))
    ]
    assert " ".join(sections._labels(parts, list(energies), electronic=True)) == labels
