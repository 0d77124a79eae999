"""Each format is read back by a program that is not ours, and holds the beats and sections of the song."""

import csv
import io
import json
import sqlite3
import tempfile
import xml.etree.ElementTree as ET
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrekordbox.rbxml import RekordboxXml

from k1_contracts.genesis import (
    Annotations,
    Decoder,
    GenesisView,
    GlobalMetrics,
    Hashes,
    Rhythm,
    Section,
    ViewLayers,
    ViewMetadata,
)
from k1_gateway.exports.formats import FORMATS
from k1_gateway.exports.midi import TICKS_PER_BEAT
from k1_gateway.exports.mixxx import beat_map
from k1_gateway.exports.song import Song, bar_positions
from k1_gateway.exports.tempo_changes import tempo_changes
from k1_gateway.http.content_disposition import content_disposition

RATE_HZ = 48_000


def make_song(
    beats: list[float], downbeats: list[float], title: str = "A <b> & \x01 título", **changes: object
) -> Song:
    """Return a song with these beats and two sections."""
    end = (beats[-1] if beats else 0) + 1000.0
    half = round(end / 2, 1)
    sections = [
        Section(start_ms=0, end_ms=half, label="intro", confidence=0.9, energy=0.2),
        Section(start_ms=half, end_ms=end, label="drop", confidence=0.8, energy=0.9),
    ]
    metrics = GlobalMetrics.model_construct(
        duration_ms=end, bpm=120.0, tempo_confidence=0.9, key="A", scale="minor", key_strength=0.7
    )
    metadata = ViewMetadata(
        filename="x.wav", analysis_engine="k1 1.5.0", timestamp_utc="2026-01-01T00:00:00Z",
        hashes=Hashes(audio_sha256="0" * 64, map_sha256="0" * 64), analysis_config={},
        decoder=Decoder(name="d", version="1", codec="c", container="wav", sample_rate_hz=RATE_HZ, channels=2),
    )  # fmt: skip
    rhythm = Rhythm(
        beat_grid_ms=beats, downbeat_ms=downbeats, beat_strength=[0.5] * len(beats), tempo_curve=[]
    )
    layers = ViewLayers(rhythm=rhythm, annotations=Annotations(sections=sections, drops=[half], silence=[]))
    genesis = GenesisView.model_construct(metadata=metadata, global_metrics=metrics, layers=layers)
    return Song(
        title=title,
        artist="Ünë; DROP TABLE library",
        file_name="it's; a \n.x song.wav",
        document=b"{}",
        genesis=genesis,
    )


@st.composite
def songs(draw: st.DrawFn) -> Song:
    """Draw songs with free beats, bars of changing length, and beats before the first downbeat."""
    steps = draw(st.lists(st.integers(2000, 20_000), min_size=2, max_size=60))
    first = draw(st.integers(0, 60_000))
    beats = [round(tenth / 10, 1) for tenth in accumulate([first, *steps])]
    downbeats = draw(st.lists(st.sampled_from(beats), unique=True, max_size=15).map(sorted))
    return make_song(beats, downbeats)


@given(songs())
def test_midi_has_each_beat_on_its_quarter_note(song: Song) -> None:
    """The times that mido computes from the tempo map are those of the beats, within 2 µs, and bars start on downbeats."""
    file = mido.MidiFile(file=io.BytesIO(FORMATS["midi"].write(song)))
    times, bars = quarter_notes(file)
    beats = song.rhythm.beat_grid_ms
    first = int(np.argmin(np.abs(np.array(times) - beats[0] / 1000)))
    np.testing.assert_allclose(times[first : first + len(beats)], np.array(beats) / 1000, atol=2e-6)
    assert {round(times[bar], 4) for bar in bars} >= {
        round(beat / 1000, 4) for beat in song.rhythm.downbeat_ms
    }
    texts = [message.text for message in file.tracks[0] if message.type == "marker"]
    assert sorted(texts) == ["drop", "drop starts", "intro"]


def quarter_notes(file: mido.MidiFile) -> tuple[list[float], set[int]]:
    """Return the time of each quarter note in seconds, and the quarter notes that begin bars."""
    track = file.tracks[0]
    ticks = sum(message.time for message in track)
    changes = {at: m.tempo for at, m in _absolute(track) if m.type == "set_tempo"}
    signatures = {at: m.numerator for at, m in _absolute(track) if m.type == "time_signature"}
    now, tempo, times = 0.0, 500_000, [0.0]
    for tick in range(0, ticks, TICKS_PER_BEAT):
        tempo = changes.get(tick, tempo)
        now += mido.tick2second(TICKS_PER_BEAT, TICKS_PER_BEAT, tempo)
        times.append(now)
    bars, bar, numerator = {0}, 0, 4
    while bar * TICKS_PER_BEAT < ticks:
        numerator = signatures.get(bar * TICKS_PER_BEAT, numerator)
        bar += numerator
        bars.add(bar)
    assert set(signatures) <= {bar * TICKS_PER_BEAT for bar in bars}, "a signature changes inside a bar"
    return times, {bar for bar in bars if bar < len(times)}


def _absolute(track: mido.MidiTrack) -> list[tuple[int, Any]]:
    return list(zip(accumulate(message.time for message in track), track, strict=True))


@given(songs())
def test_jams_is_valid_and_whole(song: Song) -> None:
    """The jams library validates the file against its schema and reads the same beats, sections, tempo and key."""
    import jams  # it takes seconds, which every worker of the suite would spend

    with tempfile.NamedTemporaryFile(suffix=".jams") as file:
        Path(file.name).write_bytes(FORMATS["jams"].write(song))
        document: Any = jams.load(file.name, validate=True, strict=True)
    beats = document.search(namespace="beat")[0]
    np.testing.assert_allclose([each.time for each in beats.data], np.array(song.rhythm.beat_grid_ms) / 1000)
    assert [each.value for each in beats.data] == song.positions
    sections = document.search(namespace="segment_open")[0]
    assert [(each.time, each.value) for each in sections.data] == [
        (section.start_ms / 1000, section.label) for section in song.sections
    ]
    assert document.search(namespace="tempo")[0].data[0].value == 120
    assert document.search(namespace="key_mode")[0].data[0].value == "A:minor"


@given(songs())
def test_text_formats_are_read_by_mir_eval_and_csv(song: Song) -> None:
    """mir_eval reads beats and Audacity's labels, the csv module reads the table."""
    import mir_eval  # it takes seconds, which every worker of the suite would spend

    beats = np.array(song.rhythm.beat_grid_ms) / 1000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "song")
        file.write_bytes(FORMATS["beats"].write(song))
        times, positions = mir_eval.io.load_labeled_events(str(file), delimiter="\t")
        np.testing.assert_allclose(times, beats, atol=5e-5)
        assert [int(position) for position in positions] == song.positions
        file.write_bytes(FORMATS["audacity"].write(song))
        spans, labels = mir_eval.io.load_labeled_intervals(str(file), delimiter="\t")
    points = [span[0] for span, label in zip(spans, labels, strict=True) if label.isdecimal()]
    np.testing.assert_allclose(points, beats, atol=5e-5)
    assert [label for label in labels if not label.isdecimal()].count("drop starts") == 1
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(song).decode(), newline="")))
    np.testing.assert_allclose([float(row["time_s"]) for row in rows], beats, atol=5e-5)
    assert [int(row["position"]) for row in rows] == song.positions
    assert {row["section"] for row in rows} <= {"intro", "drop"}


@given(songs())
def test_rekordbox_reads_a_grid_that_meets_every_beat(song: Song) -> None:
    """pyrekordbox reads the collection; the grids of its tempo marks meet each beat within 10 ms and the rounding."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        Path(file.name).write_bytes(FORMATS["rekordbox"].write(song))
        track = RekordboxXml(file.name).get_track(0)
    assert track["Name"] == "A <b> &  título"
    assert track["Tonality"] == "Am"
    beats = song.rhythm.beat_grid_ms
    marks = [(float(mark.Inizio), float(mark.Bpm), int(mark.Battito)) for mark in track.tempos]
    assert len(marks) < len(beats)
    assert {mark[0] for mark in marks} <= {round(beat / 1000, 3) for beat in beats}
    for change in tempo_changes(song):
        place = beats.index(change.time_ms)
        assert change.position == song.positions[place]
    assert [mark.Name for mark in track.marks] == ["intro", "drop"]


@given(songs())
def test_tempo_changes_hold_every_beat(song: Song) -> None:
    """Between two anchors every beat is within 10 ms of the grid, and the anchors are beats."""
    beats = song.rhythm.beat_grid_ms
    anchors = [*tempo_changes(song)]
    places = [beats.index(each.time_ms) for each in anchors] + [len(beats) - 1]
    for anchor, (first, last) in zip(anchors, pairwise(places), strict=True):
        for index in range(first, last + 1):
            expected = anchor.time_ms + (index - first) * 60_000 / anchor.bpm
            assert abs(beats[index] - expected) <= 10 + 1e-6


def test_a_constant_tempo_is_one_anchor() -> None:
    """Beats that jitter by 2 ms need one tempo mark, a song that changes its tempo two."""
    steady = [1000 + 500.0 * index + (index % 3) for index in range(200)]
    assert len(tempo_changes(make_song(steady, steady[::4]))) == 1
    faster = [*steady, *(steady[-1] + 400.0 * index for index in range(1, 100))]
    assert [round(each.bpm) for each in tempo_changes(make_song(faster, faster[::4]))] == [120, 150]


@given(songs())
def test_xlights_spans_fill_the_song(song: Song) -> None:
    """Beats follow each other without gaps, on whole milliseconds, up to the end of the song."""
    root = ET.fromstring(FORMATS["xlights"].write(song))
    tracks = {timing.get("name"): timing.findall("EffectLayer/Effect") for timing in root}
    beats = [(int(e.get("starttime", "")), int(e.get("endtime", ""))) for e in tracks["K1 Beats"]]
    assert [start for start, _ in beats] == [round(beat) for beat in song.rhythm.beat_grid_ms]
    assert all(before[1] == after[0] for before, after in pairwise(beats))
    assert beats[-1][1] == round(song.metrics.duration_ms)
    assert [e.get("label") for e in tracks["K1 Sections"]] == ["intro", "drop"]


@given(songs())
def test_sonic_visualiser_points_are_the_beats(song: Song) -> None:
    """The first layer has a point for each beat at 10 kHz, the second one for each section."""
    root = ET.fromstring(FORMATS["sonic-visualiser"].write(song))
    models = {model.get("id"): model for model in root.iter("model")}
    datasets = {dataset.get("id"): list(dataset) for dataset in root.iter("dataset")}
    assert all(layer.get("model") in models for layer in root.iter("layer"))
    beats = datasets[models["1"].get("dataset")]
    rate = int(models["1"].get("sampleRate", ""))
    np.testing.assert_allclose(
        [int(point.get("frame", "")) / rate * 1000 for point in beats], song.rhythm.beat_grid_ms, atol=1e-6
    )
    assert [point.get("label") for point in datasets[models["3"].get("dataset")]] == ["intro", "drop"]


@given(songs())
def test_mixxx_takes_the_beats_into_its_library(song: Song) -> None:
    """SQLite runs the script on Mixxx's tables: only the song of this file gets the beats."""
    library = sqlite3.connect(":memory:")
    library.executescript(
        "CREATE TABLE track_locations (id INTEGER PRIMARY KEY, filename TEXT);"
        "CREATE TABLE library (id INTEGER PRIMARY KEY, location INTEGER, bpm REAL, beats BLOB,"
        " beats_version TEXT, beats_sub_version TEXT);"
    )
    library.execute("INSERT INTO track_locations VALUES (7, ?), (8, 'other.wav')", (song.file_name,))
    library.execute("INSERT INTO library (id, location) VALUES (1, 7), (2, 8)")
    library.executescript(FORMATS["mixxx"].write(song).decode())
    rows = library.execute("SELECT bpm, beats_version, beats FROM library ORDER BY id").fetchall()
    assert (rows[0][:2], rows[1]) == ((120.0, "BeatMap-1.0"), (None, None, None))
    assert frames_of(rows[0][2]) == [round(beat * RATE_HZ / 1000) for beat in song.rhythm.beat_grid_ms]


@given(st.lists(st.integers(0, 2**31 - 1)))
def test_beat_map_is_a_protocol_buffer(frames: list[int]) -> None:
    """Google's library reads the message with the definition of Mixxx."""
    assert frames_of(beat_map(frames)) == frames


def frames_of(data: bytes) -> list[int]:
    """Return the frames of a BeatMap, read by Google's library."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="beats.proto", package="mixxx", syntax="proto2")
    beat = file.message_type.add(name="Beat")
    beat.field.add(name="frame_position", number=1, type=5, label=1)
    whole = file.message_type.add(name="BeatMap")
    whole.field.add(name="beat", number=1, type=11, label=3, type_name=".mixxx.Beat")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("mixxx.BeatMap"))()
    message.ParseFromString(data)
    return [each.frame_position for each in message.beat]


@pytest.mark.parametrize("name", FORMATS)
def test_songs_without_beats_can_be_exported(name: str) -> None:
    """A silent song has no beats; each format is still a valid file."""
    data = FORMATS[name].write(make_song([], []))  # type: ignore[index]
    if name == "midi":
        assert mido.MidiFile(file=io.BytesIO(data)).tracks
    elif name in {"jams", "json"}:
        assert isinstance(json.loads(data), dict)
    elif FORMATS[name].media_type == "application/xml":  # type: ignore[index]
        assert ET.fromstring(data) is not None


@given(songs())
def test_positions_begin_at_downbeats(song: Song) -> None:
    """Every downbeat is 1, and no other beat after the first downbeat is; each position follows the one before."""
    positions = bar_positions(song.rhythm.beat_grid_ms, song.rhythm.downbeat_ms)
    ones = [beat for beat, place in zip(song.rhythm.beat_grid_ms, positions, strict=True) if place == 1]
    downbeats = song.rhythm.downbeat_ms
    if downbeats:
        assert [beat for beat in ones if beat >= downbeats[0]] == downbeats
        assert all(after in {1, before + 1} for before, after in pairwise(positions))


@given(st.text(min_size=1))
def test_file_names_are_safe(title: str) -> None:
    """Whatever the title, the header is one ASCII line without a path, and a quoted name is closed."""
    header = content_disposition(title + ".mid")
    assert header.isascii()
    assert header.isprintable()
    name = header.split('"')[1]
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")
