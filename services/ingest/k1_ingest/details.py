"""What a person says of a song beside the file itself."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from k1_contracts.tracks import DEFAULT_PRIORITY, Preset, Priority, Tag, Title
from k1_ingest.errors import FieldProblem, UploadRefusedError
from k1_ingest.names import plain_text

MOST_TAGS: Final = 32


def _plain(value: Any) -> Any:
    return plain_text(value) if isinstance(value, str) else value


def _none_if_blank(value: Any) -> Any:
    return value or None


def _default_if_blank(value: Any) -> Any:
    return value or DEFAULT_PRIORITY


def _tags(value: Any) -> Any:
    """Repeated fields and comma-separated ones alike; each tag once."""
    parts = [plain_text(part) for item in value for part in str(item).split(",")]
    return list(dict.fromkeys(part for part in parts if part))


Optional = BeforeValidator(_none_if_blank)
Line = BeforeValidator(_plain)
Artist = Annotated[str, StringConstraints(max_length=300)]


class Details(BaseModel):
    """The fields of the form; a blank field counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[Title | None, Optional, Line] = None
    artist: Annotated[Artist | None, Optional, Line] = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS), BeforeValidator(_tags)] = []
    preset: Annotated[Preset | None, Optional, Line] = None
    priority: Annotated[Priority, BeforeValidator(_default_if_blank), Line] = DEFAULT_PRIORITY


def read_details(fields: Sequence[tuple[str, str]]) -> Details:
    """Read the form's fields.

    Raises:
        UploadRefusedError: `invalid_form`, naming every field at fault.
    """
    values: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in fields:
        if name == "tags":
            values.setdefault("tags", []).append(value)
        elif name in values:
            problems.append(FieldProblem(name, "is given twice; send it once"))
        else:
            values[name] = value
    try:
        details = Details.model_validate(values)
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors()]
    else:
        if not problems:
            return details
    text = "; ".join(f"{problem.name}: {problem.message}" for problem in problems)
    raise UploadRefusedError("invalid_form", 422, f"The form has errors: {text}.", problems)


def _problem(item: Any) -> FieldProblem:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = ", ".join(["file", *Details.model_fields])
        return FieldProblem(name, f"is not a field of this form; it has {known}")
    return FieldProblem(name, str(item["msg"]))
