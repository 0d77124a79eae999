"""The fields of a track that people edit, and what an edit makes of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from k1_catalogue.tracks.status import VersionChoice
from k1_contracts.messages.catalogue.track_changes import EditedField
from k1_contracts.messages.catalogue.track_edits import EditTrack
from k1_contracts.tracks import Preset
from k1_contracts.upload_form import MAX_TAGS, sanitize_text

_API_NAMES: Final[dict[str, EditedField]] = {
    "title": "title",
    "artist": "artist",
    "tags": "tags",
    "preset": "preset",
    "notes": "notes",
    "choice": "current_version",
}
"""By the fields of EditableFields."""


class EditError(ValueError):
    """The edit cannot be made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class EditableFields:
    """The fields of a track that a person may change."""

    title: str
    artist: str | None
    tags: tuple[str, ...]
    preset: Preset | None
    notes: str | None
    choice: VersionChoice | None
    """The version that was chosen to be the current one."""

    def with_preset(self, preset: Preset | None) -> Self:
        """Return the fields with another preset, or with none."""
        return replace(self, preset=preset)


def apply_edit(before: EditableFields, query: EditTrack, newest_version: int) -> EditableFields:
    """Return the fields after an edit; raise EditError for text in which nothing can be read."""
    changes: dict[str, Any] = dict.fromkeys(name for name in query.clear if name != "current_version")
    if query.title is not None:
        changes["title"] = _line("title", query.title)
    if query.artist is not None:
        changes["artist"] = _line("artist", query.artist)
    if query.tags is not None:
        changes["tags"] = _tags(query.tags)
    if query.preset is not None:
        changes["preset"] = query.preset
    if query.notes is not None:
        changes["notes"] = query.notes or None
    if query.current_version is not None:
        changes["choice"] = VersionChoice(query.current_version, newest_version)
    elif "current_version" in query.clear:
        changes["choice"] = None
    return replace(before, **changes)


def add_tags(before: EditableFields, tags: Sequence[str]) -> EditableFields:
    """Return the fields with more tags; raise EditError if there are too many."""
    return replace(before, tags=_tags([*before.tags, *tags]))


def remove_tags(before: EditableFields, tags: Sequence[str]) -> EditableFields:
    """Return the fields without some tags."""
    removed = {*tags, *_tags(tags)}
    return replace(before, tags=tuple(tag for tag in before.tags if tag not in removed))


def changed_fields(before: EditableFields, after: EditableFields) -> list[EditedField]:
    """Return the names of the fields that differ, as the API calls them."""
    return [api for name, api in _API_NAMES.items() if getattr(before, name) != getattr(after, name)]


def _line(name: str, text: str) -> str:
    line = sanitize_text(text)
    if not line:
        raise EditError(f"{name}: there is nothing to read in it; write some letters.")
    return line


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_line("tags", tag) for tag in tags))
    if len(found) > MAX_TAGS:
        raise EditError(f"tags: a track has at most {MAX_TAGS}; remove some first.")
    return found
