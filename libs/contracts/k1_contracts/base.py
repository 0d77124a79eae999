"""The base of every contract model."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


class Contract(BaseModel):
    """A frozen message body. Fields that a newer publisher added are ignored, missing required ones refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null", allow_inf_nan=False)

    def to_json(self) -> bytes:
        """The message body: compact JSON without fields that are None."""
        return self.model_dump_json(exclude_none=True).encode()


def _aware_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-31T12:00:00Z")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def rfc3339(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, for example `2026-01-31T12:00:00.000Z`."""
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


UtcTime = Annotated[
    datetime,
    AfterValidator(_aware_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time with its zone, kept in UTC and written as RFC 3339."""

_TIME = (
    r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
TimeParameter = Annotated[
    datetime,
    AfterValidator(_aware_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME}),
]
"""A time in a URL, as RFC 3339 with capital letters."""

NO_NUL = r"^[^\x00]*$"
"""A pattern: PostgreSQL cannot keep the character NUL in a text."""
NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
"""A pattern: something other than white space, and no NUL."""

JsonObject = dict[str, Any]
