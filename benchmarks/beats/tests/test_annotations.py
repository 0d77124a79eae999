"""Annotations are read as they are, or refused with the file's name and what to do."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.annotations import Annotation, DatasetError, parse_beats, parse_json, read_annotation
from benchmarks.beats.dataset import annotated_folder

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
RISING = st.lists(st.integers(0, 600_000), min_size=2, unique=True).map(
    lambda ms: [t / 1000 for t in sorted(ms)]
)


@given(st.data())
def test_an_annotation_is_read_as_written(data):
    """Beats, downbeats, genre, key and level reach the annotation; unknown fields are ignored."""
    beats = data.draw(RISING)
    pos = data.draw(
        st.none() | st.lists(st.none() | st.integers(1, 7), min_size=len(beats), max_size=len(beats))
    )
    level = data.draw(st.sampled_from(["chart", "uncertain", None]))
    text = json.dumps(
        {"beats": beats, "pos": pos, "level": level, "genre": "metal", "key": "A minor", "bpms": [1]}
    )
    found = parse_json(text, "a.json")
    assert found.beats.tolist() == beats
    assert (found.genre, found.key, found.level_uncertain) == ("metal", "A minor", level == "uncertain")
    known = pos is not None and None not in pos and 1 in pos
    expected = [b for b, p in zip(beats, pos or [], strict=True) if p == 1] if known else None
    assert (None if found.downbeats is None else found.downbeats.tolist()) == expected


@given(
    st.fixed_dictionaries(
        {}, optional={"beats": RISING | JSON, "pos": JSON, "level": JSON, "genre": JSON, "key": JSON}
    )
    | JSON
)
def test_any_json_is_read_or_refused(value):
    """Nothing but DatasetError is raised, and what is read has finite, rising beats."""
    _read_or_refuse(parse_json, json.dumps(value))


@given(st.text() | st.lists(st.floats().map(str) | st.text(), max_size=5).map("\n".join))
def test_any_text_is_read_or_refused(text):
    """The same for `.beats` files, and for JSON files that are not JSON."""
    _read_or_refuse(parse_beats, text)
    _read_or_refuse(parse_json, text)


def _read_or_refuse(parse, text):
    try:
        found = parse(text, "folder/a")
    except DatasetError as error:
        assert str(error).startswith("folder/a: ")  # noqa: PT017  both outcomes are right
        return
    assert isinstance(found, Annotation)
    assert np.isfinite(found.beats).all()
    assert (np.diff(found.beats) > 0).all()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "needs `beats`"),
        ('{"beats": [1, 2], "pos": [1]}', "`pos` has 1 entries for 2 beats"),
        ('{"beats": [1, "2"]}', r"`beats`\[1\]"),
        ('{"beats": [2, 1]}', "rising"),
        ('{"beats": [1, 2], "pos": [0, 1]}', r"`pos`\[0\]"),
        ('{"beats": [1, 2], "genre": 3}', "`genre` must be text"),
    ],
)
def test_a_bad_json_annotation_says_what_is_wrong(tmp_path, content, problem):
    """The message has the file, the field and the fault."""
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=rf"a\.json: .*{problem}"):
        read_annotation(path)


@pytest.mark.parametrize("text", ["", "1.0", "2.0\n1.0", "one\ntwo", "nan\n1"])
def test_a_bad_text_annotation_is_refused(tmp_path, text):
    """An annotation that is not a rising list of times is rejected with its name."""
    path = tmp_path / "a.beats"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"a\.beats"):
        read_annotation(path)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    """Bytes that are not UTF-8 are rejected with the file's name."""
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match=r"a\.json: cannot be read"):
        read_annotation(path)


def test_folders_hold_both_formats(tmp_path):
    """The group is the genre, or else the folder; comments of `.beats` files are skipped."""
    (tmp_path / "jazz").mkdir()
    for name in ("a.wav", "b.ogg"):
        (tmp_path / "jazz" / name).touch()
    (tmp_path / "jazz" / "a.beats").write_text("# by hand\n0.5 4\n1.0 1\n1.5 2\n")
    (tmp_path / "jazz" / "b.json").write_text('{"beats": [1, 2], "genre": "bebop", "level": "uncertain"}')
    text, with_genre = annotated_folder(tmp_path)
    assert (text.group, text.beats.tolist(), text.level_uncertain) == ("jazz", [0.5, 1.0, 1.5], False)
    assert text.downbeats is not None
    assert text.downbeats.tolist() == [1.0]
    assert (with_genre.group, with_genre.downbeats, with_genre.level_uncertain) == ("bebop", None, True)


def test_a_folder_without_annotations_is_refused(tmp_path):
    """Nothing to evaluate is an error, not an empty table; so is a folder that does not exist."""
    with pytest.raises(DatasetError, match="no audio file"):
        list(annotated_folder(tmp_path))
    with pytest.raises(DatasetError, match="is not a folder"):
        list(annotated_folder(tmp_path / "missing"))
