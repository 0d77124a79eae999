"""The fields of the form of an upload."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.upload_form import UploadForm, write_fields
from k1_ingest.errors import UploadRejectedError
from k1_ingest.form.fields import read_fields


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
    assert read_fields(fields) == UploadForm(
        title="My song", artist="DJ 🎧", tags=["dark", "peak time"], preset="edm", priority=9
    )


def test_blank_fields_are_absent() -> None:
    """A web form sends every field; empty ones count as absent."""
    names = ("title", "artist", "tags", "preset", "priority")
    assert read_fields([(name, " ") for name in names]) == UploadForm()


def test_every_fault_of_a_form_is_named_at_once() -> None:
    """A person does not have to send a form five times to learn of five errors."""
    fields = [
        ("title", "x" * 301),
        ("preset", "polka"),
        ("priority", "11"),
        ("tags", "y" * 61),
        ("colour", "red"),
        ("artist", "a"),
        ("artist", "b"),
    ]
    with pytest.raises(UploadRejectedError) as refused:
        read_fields(fields)
    names = {fault.name.split(".")[0] for fault in refused.value.faults}
    assert names == {"title", "preset", "priority", "tags", "colour", "artist"}
    assert refused.value.code == "invalid_form"
    assert "it has file, title, artist, tags, preset, priority" in str(refused.value)


def test_tags_are_limited() -> None:
    """32 tags are enough for any song."""
    assert len(read_fields([("tags", ",".join(map(str, range(32))))]).tags) == 32
    with pytest.raises(UploadRejectedError):
        read_fields([("tags", ",".join(map(str, range(33))))])


@given(
    st.lists(st.tuples(st.sampled_from(["title", "artist", "tags", "preset", "priority", "x"]), st.text()))
)
def test_any_form_is_read_or_rejected(fields: list[tuple[str, str]]) -> None:
    """Any input gives a form or a rejection."""
    with contextlib.suppress(UploadRejectedError):
        read_fields(fields)


@given(
    title=st.none() | st.just("My song"),
    artist=st.none() | st.just("DJ 🎧"),
    tags=st.lists(st.sampled_from(["dark", "peak time", "loud"]), unique=True),
    preset=st.none() | st.sampled_from(["edm", "jazz"]),
    priority=st.none() | st.integers(1, 10),
)
def test_written_fields_are_read_back(**values: Any) -> None:
    """The command line writes a form with the contract with which ingest reads it; absent fields get the defaults."""
    given_values = {name: value for name, value in values.items() if value is not None}
    assert read_fields(list(write_fields(**values).items())) == UploadForm(**given_values)


@given(st.lists(st.text(max_size=20).filter(str.strip), max_size=8))
def test_tags_may_be_a_json_array(tags: list[str]) -> None:
    """The array holds any text, commas too; it gives the same tags as each text on its own."""
    separately = [tag for text in tags for tag in read_fields([("tags", json.dumps([text]))]).tags]
    assert read_fields([("tags", json.dumps(tags))]).tags == list(dict.fromkeys(separately))
    assert all("," in tag or tag in read_fields([("tags", tag)]).tags for tag in separately if tag[0] != "[")


def test_what_is_no_array_of_strings_is_text() -> None:
    """Brackets are no reason to reject a tag."""
    deep = "[" * 8000
    assert read_fields([("tags", '["a, b", "c"]'), ("tags", "[live], c"), ("tags", "[1]")]).tags == [
        "a, b",
        "c",
        "[live]",
        "[1]",
    ]
    with pytest.raises(UploadRejectedError):
        read_fields([("tags", deep)])


def test_classical_is_orchestral() -> None:
    assert read_fields([("preset", "classical")]).preset == "orchestral"
