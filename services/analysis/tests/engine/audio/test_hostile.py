"""Files that want to break the engine: each gives the right error or a map with honest warnings."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.limits import Limits

BEAT = songs.song(songs.steady(120.0, 8.0))
SECOND = songs.RATE


def _analyse(path: Path, **options: Any) -> engine.Analysis:
    return engine.analyse_file(path, filename=path.name, **options)


def _codes(analysis: engine.Analysis) -> set[str]:
    return {warning.code for warning in analysis.warnings}


def _sparse_wav(path: Path, seconds: int) -> Path:
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 0
    )
    with path.open("wb") as stream:
        stream.write(header[:-4] + struct.pack("<I", seconds * 16000))
        stream.truncate(len(header) + seconds * 16000)
    return path


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "decode_failed"),
        (b"not music but words\n" * 500, "decode_failed"),
        (np.random.default_rng(0).bytes(60_000), "decode_failed"),
        (bytes(songs.wav_bytes(BEAT)[:44]), "decode_failed"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n#EXT-X-ENDLIST\n", "decode_failed"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "decode_failed"),
    ],
    ids=["empty", "text", "random", "header only", "playlist", "concat script"],
)
def test_a_file_without_audio_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    """The error has a code, and the message does not contain the path of the file."""
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(engine.EngineError) as caught:
        _analyse(path)
    assert caught.value.code == code
    assert str(tmp_path) not in caught.value.message


def test_video_without_sound_is_unsupported(tmp_path: Path) -> None:
    """A video without sound is a valid file without anything to analyse."""
    av = pytest.importorskip("av")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(engine.EngineError) as caught:
        _analyse(path)
    assert caught.value.code == "unsupported"


def test_ten_hours_are_refused_before_decoding(tmp_path: Path) -> None:
    """The header of a sparse ten-hour file is enough to refuse it."""
    with pytest.raises(engine.EngineError) as caught:
        _analyse(_sparse_wav(tmp_path / "long.wav", 36_000))
    assert caught.value.code == "too_long"


def test_limit_holds_for_a_wrong_header(tmp_path: Path) -> None:
    """Decoding stops at the limit if the header declares too little."""
    path = tmp_path / "long.wav"
    path.write_bytes(songs.declaring(songs.wav_bytes(np.tile(BEAT, 2)), 0xFFFFFFFF))
    with pytest.raises(engine.EngineError) as caught:
        _analyse(path, limits=Limits(max_minutes=0.1))
    assert caught.value.code == "too_long"


QUIET_FILES: list[tuple[str, np.ndarray, set[str]]] = [
    ("one sample", BEAT[:1], {"short", "no_beats"}),
    ("silence", np.zeros(8 * SECOND, np.float32), {"silent"}),
    ("constant", np.full(8 * SECOND, 0.5, np.float32), {"no_beats"}),
    ("drone", 0.3 * np.sin(2 * np.pi * 110 * np.arange(12 * SECOND) / SECOND), {"no_beats"}),
    ("noise", np.random.default_rng(0).normal(0, 0.1, 12 * SECOND), {"no_beats"}),
]


@pytest.mark.parametrize(("name", "samples", "codes"), QUIET_FILES, ids=[name for name, *_ in QUIET_FILES])
def test_no_pulse_gives_a_map_without_beats(
    tmp_path: Path, name: str, samples: np.ndarray, codes: set[str]
) -> None:
    """Without a pulse the grid is empty, the tempo is 0 and a warning gives the reason."""
    analysis = _analyse(songs.write(tmp_path / "song.wav", samples.astype(np.float32)))
    assert codes <= _codes(analysis)
    assert analysis.genesis.layers.rhythm.beat_grid_ms == []
    assert analysis.genesis.global_metrics.bpm == 0


def test_not_finite_samples_are_silenced(tmp_path: Path) -> None:
    """NaN, infinities and absurd values are counted, the rest is analysed, the loudness stays finite."""
    damaged = BEAT.copy()
    damaged[1000:2000], damaged[5000], damaged[6000], damaged[7000] = np.nan, np.inf, -np.inf, 1e30
    analysis = _analyse(songs.write(tmp_path / "nan.wav", damaged, subtype="FLOAT"))
    assert "not_finite" in _codes(analysis)
    assert analysis.genesis.global_metrics.integrated_lufs is not None
    assert analysis.genesis.global_metrics.bpm == pytest.approx(120, abs=1)


def _channels(count: int) -> Callable[[Path], Path]:
    return lambda folder: songs.write(
        folder / "c.wav", np.repeat(BEAT[: int(5.8 * SECOND), None], count, axis=1)
    )


FORMATS: dict[str, Callable[[Path], Path]] = {
    "8 bit": lambda folder: songs.write(folder / "a.wav", BEAT, subtype="PCM_U8"),
    "24 bit": lambda folder: songs.write(folder / "a.wav", BEAT, subtype="PCM_24"),
    "6 channels": _channels(6),
    "9 channels": _channels(9),
    "255 channels": _channels(255),
    "flac": lambda folder: songs.write(folder / "a.flac", BEAT),
    "vorbis": lambda folder: songs.write(folder / "a.ogg", BEAT),
    "mp3": lambda folder: songs.write(folder / "a.mp3", BEAT),
    "opus": lambda folder: songs.encode(folder / "a.opus", BEAT, "libopus"),
    "webm": lambda folder: songs.encode(folder / "a.webm", BEAT, "libopus"),
    "alac in mp4": lambda folder: songs.encode(folder / "a.m4a", BEAT, "alac", songs.RATE),
    "96 kHz": lambda folder: songs.write(folder / "a.wav", np.repeat(BEAT, 2), 2 * SECOND),
    "192 kHz": lambda folder: songs.write(folder / "a.wav", np.repeat(BEAT, 4), 4 * SECOND),
    "8 kHz": lambda folder: songs.write(
        folder / "a.wav", np.interp(np.arange(0, 8.5, 1 / 8000), np.arange(len(BEAT)) / SECOND, BEAT), 8000
    ),
}


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS.keys())
def test_every_format_gives_the_same_tempo(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Widths, rates, channels and codecs change nothing: 120 BPM, beats on the half seconds, no warning."""
    analysis = _analyse(make(tmp_path))
    assert analysis.genesis.global_metrics.bpm == pytest.approx(120, abs=0.5)
    off_grid = (np.array(analysis.genesis.layers.rhythm.beat_grid_ms) + 250) % 500 - 250
    assert np.abs(off_grid).max() < 15
    assert not _codes(analysis) & {"truncated", "damaged", "not_finite"}


@pytest.mark.parametrize(
    "make", [FORMATS["mp3"], FORMATS["flac"], FORMATS["8 bit"]], ids=["mp3", "flac", "wav"]
)
def test_truncated_files_give_a_warning(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Half a file is analysed, and the map warns that the other half is missing."""
    path = make(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    analysis = _analyse(path)
    assert "truncated" in _codes(analysis)
    assert analysis.genesis.global_metrics.duration_ms < 6000


def test_unknown_preset_names_the_known_ones(house: Path) -> None:
    """The message lists the presets that exist."""
    with pytest.raises(engine.UnknownPresetError, match="edm"):
        _analyse(house, preset="polka")
