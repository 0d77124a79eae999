"""Real files with damaged bytes: the engine returns a map or raises its own error, whatever libav does."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.beats.trackers.forked_process import ForkedProcess
from k1_contracts.genesis import GenesisMap
from tests.support.waiting import PATIENCE_S

MUSIC = songs.song(songs.steady(120.0, 2.5))
MAKERS: dict[str, Callable[[Path], Path]] = {
    "mp3": lambda folder: songs.encode(folder / "song.mp3", MUSIC, "libmp3lame", songs.RATE),
    "flac": lambda folder: songs.encode(folder / "song.flac", MUSIC, "flac", songs.RATE),
    "m4a": lambda folder: songs.encode(folder / "song.m4a", MUSIC, "aac", songs.RATE),
    "ogg": lambda folder: songs.encode(folder / "song.ogg", MUSIC, "libopus"),
}
Damage = tuple[float, int, bytes]
"""Where (share of the file), how many bytes go, what comes instead."""
damages = st.lists(
    st.tuples(st.one_of(st.floats(0, 0.03), st.floats(0, 1)), st.integers(0, 64), st.binary(max_size=64)),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module", params=MAKERS)
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole file of each format."""
    return MAKERS[request.param](tmp_path_factory.mktemp("whole")).read_bytes()


def damaged(content: bytes, damage: list[Damage]) -> bytes:
    """Return the bytes with parts replaced, removed or inserted, more often in the headers at the start."""
    out = bytearray(content)
    for share, gone, instead in damage:
        start = int(share * len(out))
        out[start : start + gone] = instead
    return bytes(out)


def outcome(path: Path) -> str:
    """Return `map` if the file gives a valid one, else the code of the engine's error."""
    try:
        analysis = engine.analyse_file(path, filename=path.name)
    except engine.EngineError as error:
        return error.code
    GenesisMap.model_validate_json(analysis.genesis_json)
    return "map"


@settings(
    max_examples=settings().max_examples // 6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damage=damages)
def test_damaged_files_give_a_map_or_a_code(tmp_path: Path, content: bytes, damage: list[Damage]) -> None:
    """In a separate process, because libav may crash: no other exception, no crash, no hang."""
    path = tmp_path / "song"
    path.write_bytes(damaged(content, damage))
    with ForkedProcess(lambda: outcome(path)) as child:
        assert child.result(PATIENCE_S) in {"map", "decode_failed", "too_long", "unsupported"}


def test_whole_files_give_a_map(tmp_path: Path, content: bytes) -> None:
    """The undamaged files give a map."""
    path = tmp_path / "song"
    path.write_bytes(content)
    assert outcome(path) == "map"
