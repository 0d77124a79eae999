"""The engine's tests share one warmed-up engine and one golden song."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from k1_analysis import engine
from k1_analysis.engine import testing as songs


@pytest.fixture(scope="session", autouse=True)
def warm_engine() -> None:
    engine.warm_up()


@pytest.fixture(scope="session")
def house_beats() -> np.ndarray:
    return songs.steady(124.0, 40.0, offset_s=0.35)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, house_beats: np.ndarray) -> Path:
    """Forty seconds at 124 BPM in four."""
    return songs.write(tmp_path_factory.mktemp("golden") / "house.wav", songs.song(house_beats))


@pytest.fixture(scope="session")
def house_analysis(house: Path) -> engine.Analysis:
    return engine.analyse_file(house, filename="house.wav", timestamp_utc="2026-01-01T00:00:00.000Z")
