"""The form's fields."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_ingest.details import Details, read_details
from k1_ingest.errors import UploadRefusedError


def test_all_fields_are_read() -> None:
    """Text is trimmed, tags may be repeated or comma-separated and count once, numbers are numbers."""
    fields = [
        ("title", "  My\tsong "),
        ("artist", "DJ 🎧"),
        ("tags", "dark, peak time"),
        ("tags", "dark"),
        ("preset", "edm"),
        ("priority", "9"),
    ]
    assert read_details(fields) == Details(
        title="My song", artist="DJ 🎧", tags=["dark", "peak time"], preset="edm", priority=9
    )


def test_blank_is_absent() -> None:
    """A web form sends every field; those left empty mean nothing."""
    names = ("title", "artist", "tags", "preset", "priority")
    assert read_details([(name, " ") for name in names]) == Details()


def test_every_problem_is_named_at_once() -> None:
    """Nobody has to send a form five times to learn of five errors."""
    fields = [
        ("title", "x" * 301),
        ("preset", "polka"),
        ("priority", "11"),
        ("tags", "y" * 61),
        ("colour", "red"),
        ("artist", "a"),
        ("artist", "b"),
    ]
    with pytest.raises(UploadRefusedError) as refused:
        read_details(fields)
    names = {problem.name.split(".")[0] for problem in refused.value.problems}
    assert names == {"title", "preset", "priority", "tags", "colour", "artist"}
    assert refused.value.code == "invalid_form"
    assert "it has file, title, artist, tags, preset, priority" in str(refused.value)


def test_tags_are_limited() -> None:
    """32 tags are enough for any song."""
    assert len(read_details([("tags", ",".join(map(str, range(32))))]).tags) == 32
    with pytest.raises(UploadRefusedError):
        read_details([("tags", ",".join(map(str, range(33))))])


@given(
    st.lists(st.tuples(st.sampled_from(["title", "artist", "tags", "preset", "priority", "x"]), st.text()))
)
def test_any_form_is_read_or_refused(fields: list[tuple[str, str]]) -> None:
    """No input of a stranger ends in anything but details or a refusal."""
    with contextlib.suppress(UploadRefusedError):
        read_details(fields)
