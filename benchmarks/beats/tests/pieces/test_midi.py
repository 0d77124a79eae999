"""Beats of MIDI pieces: tempo maps, time signatures, archives, and files that were not played to their grid."""

import io
import struct
from pathlib import Path

import mido
import pytest

from benchmarks.beats.pieces.midi import midi_files
from benchmarks.beats.pieces.midi_beats import read_beats

QUARTER = 96


def _piece(*events: mido.MetaMessage, notes: int = 16, step: int = QUARTER, late: int = 0) -> mido.MidiFile:
    """Return a piece with these events at its start, and notes in equal steps."""
    track = mido.MidiTrack(events)
    for number in range(notes):
        track.append(mido.Message("note_on", note=60, velocity=90, time=late if number == 0 else step - 1))
        track.append(mido.Message("note_off", note=60, time=1))
    file = mido.MidiFile(ticks_per_beat=QUARTER)
    file.tracks.append(track)
    return file


def test_beats_follow_the_tempo_map() -> None:
    """At 120 BPM, then from the third quarter on at 60."""
    file = _piece(mido.MetaMessage("set_tempo", tempo=500_000), notes=5)
    slower = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000, time=2 * QUARTER)])
    file.tracks.append(slower)
    found = read_beats(file)
    assert found is not None
    assert found.seconds == pytest.approx((0.0, 0.5, 1.0, 2.0, 3.0))
    assert found.positions == (1, 2, 3, 4, 1)


def test_a_compound_time_has_a_beat_of_three_quavers() -> None:
    """6/8 has two beats of a dotted quarter; the first note, two beats late, begins a bar."""
    signature = mido.MetaMessage("time_signature", numerator=6, denominator=8)
    found = read_beats(_piece(signature, notes=12, step=QUARTER // 2, late=3 * QUARTER))
    assert found is not None
    assert found.seconds == pytest.approx((1.5, 2.25, 3.0, 3.75))
    assert found.positions == (1, 2, 1, 2)


def test_notes_beside_the_grid_say_nothing() -> None:
    """Notes in steps that are no part of a quarter were played freely; a piece without notes has no beats."""
    assert read_beats(_piece(step=41, notes=60)) is None
    assert read_beats(_piece(notes=0)) is None


def test_archives_are_searched_and_copies_left_out(tmp_path: Path) -> None:
    """A `.wad` has a directory of its parts; the same piece as a file counts once."""
    content = io.BytesIO()
    _piece().save(file=content)
    midi = content.getvalue()
    folder = tmp_path / "Songs"
    folder.mkdir()
    directory = struct.pack("<II8s", 12, len(midi), b"D_ONE") + struct.pack("<II8s", 0, 4, b"PIXELS")
    (folder / "game.wad").write_bytes(struct.pack("<4sII", b"IWAD", 2, 12 + len(midi)) + midi + directory)
    (folder / "one.mid").write_bytes(midi)
    assert list(midi_files([folder])) == [("songs-d_one", midi)]
