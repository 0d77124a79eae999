"""The multipart form of an upload: the names of its fields, their limits, and how their texts are read and written.

The command line writes such forms, the gateway describes them in its OpenAPI document, ingest reads them.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from k1_contracts.tracks import DEFAULT_PRIORITY, Preset, Priority, Tag, Title

FILE_FIELD: Final = "file"
_TAGS_FIELD: Final = "tags"
MAX_TAGS: Final = 32
MAX_TITLE_LENGTH: Final = 300
MAX_ARTIST_LENGTH: Final = 300
MAX_FIELDS: Final = 100
"""Fields of one form beside the file; a repeated field counts each time."""
MAX_FIELD_BYTES: Final = 16 * 1024
"""The size of one field in UTF-8."""
_READING_ORDER_MARKS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""Characters that only change how the following text is displayed, such as right-to-left overrides."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field of the form that cannot be accepted."""

    name: str
    message: str


class FormError(ValueError):
    """The form has faults; `faults` names every field that has one."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.name}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


def sanitize_text(text: str) -> str:
    """Return the text as one line in NFC, without control characters. Emoji keep their joiners."""
    usable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    visible = "".join(
        " " if character.isspace() else character
        for character in usable
        if character not in _READING_ORDER_MARKS
        and (character.isspace() or unicodedata.category(character) != "Cc")
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def _sanitized(value: Any) -> Any:
    return sanitize_text(value) if isinstance(value, str) else value


def _none_if_blank(value: Any) -> Any:
    return value or None


def _default_if_blank(value: Any) -> Any:
    return value or DEFAULT_PRIORITY


def _split_tags(value: Any) -> Any:
    """Return the tags of repeated fields, of comma-separated ones and of JSON arrays of strings, each tag once."""
    parts = [sanitize_text(part) for item in value for part in _tags_of(str(item))]
    return list(dict.fromkeys(part for part in parts if part))


def _tags_of(text: str) -> list[str]:
    """Return the tags of one field. Text that is no JSON array of strings is comma-separated, so `[live]` is a tag."""
    if text.lstrip().startswith("["):
        try:
            found: Any = json.loads(text)
        except (ValueError, RecursionError):
            return text.split(",")
        if isinstance(found, list) and all(isinstance(item, str) for item in cast("list[Any]", found)):
            return cast("list[str]", found)
    return text.split(",")


_Line = BeforeValidator(_sanitized)
_Optional = BeforeValidator(_none_if_blank)
_Artist = Annotated[str, StringConstraints(max_length=MAX_ARTIST_LENGTH)]
_TAGS_SCHEMA: Final = {
    "type": "string",
    "description": f"Comma-separated, a JSON array of strings, or the field repeated; at most {MAX_TAGS}.",
}


class UploadForm(BaseModel):
    """The fields beside the file; a blank field counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[Title | None, _Optional, _Line] = None
    """Without a title, that of the file's own tags, else the name of the file without its extension."""
    artist: Annotated[_Artist | None, _Optional, _Line] = None
    """Without an artist, that of the file's own tags."""
    tags: Annotated[
        list[Tag], Field(max_length=MAX_TAGS), BeforeValidator(_split_tags), WithJsonSchema(_TAGS_SCHEMA)
    ] = Field(default_factory=list[str])
    preset: Annotated[Preset | None, _Optional, _Line] = None
    priority: Annotated[Priority, BeforeValidator(_default_if_blank), _Line] = DEFAULT_PRIORITY

    @classmethod
    def parse(cls, fields: Iterable[tuple[str, str]]) -> "UploadForm":
        """Return the form with these fields, given as pairs of name and text in any order.

        Raises:
            FormError: a field is unknown, repeated or out of its limits.
        """
        values: dict[str, Any] = {}
        faults: list[FieldFault] = []
        for name, value in fields:
            if name == _TAGS_FIELD:
                values.setdefault(name, []).append(value)
            elif name in values:
                faults.append(FieldFault(name, "is given twice; send it once"))
            else:
                values[name] = value
        try:
            form = cls.model_validate(values)
        except ValidationError as error:
            raise FormError([*faults, *map(_fault, error.errors())]) from error
        if faults:
            raise FormError(faults)
        return form


def write_fields(
    *, title: str | None, artist: str | None, tags: Iterable[str], preset: str | None, priority: int | None
) -> dict[str, str]:
    """Return the texts of the form's fields. Absent fields are left out; nothing is checked."""
    texts = {
        "title": title,
        "artist": artist,
        _TAGS_FIELD: ",".join(tags) or None,
        "preset": preset,
        "priority": None if priority is None else str(priority),
    }
    return {name: text for name, text in texts.items() if text is not None}


def _fault(item: Any) -> FieldFault:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = ", ".join([FILE_FIELD, *UploadForm.model_fields])
        return FieldFault(name, f"is not a field of this form; it has {known}")
    return FieldFault(name, str(item["msg"]))
