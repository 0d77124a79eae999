"""Opaque cursors: where the next page of a list begins. Pure."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from k1_catalogue.errors import invalid_cursor
from k1_contracts.ids import TrackId
from k1_contracts.messages.tracks import TrackSort

Walk = TrackSort | Literal["search"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(BaseModel):
    """The last row of a page: its sort key and its id; of a search, how many rows came before."""

    model_config = ConfigDict(frozen=True)

    walk: Walk
    key: Annotated[float, Field(allow_inf_nan=False, ge=-1, le=2**53)]
    id: TrackId | None = None

    @classmethod
    def at_time(cls, walk: Walk, time: datetime, last: str) -> Self:
        """A cursor whose key is a time, to the microsecond."""
        return cls(walk=walk, key=(time - _EPOCH) // timedelta(microseconds=1), id=last)

    @property
    def time(self) -> datetime:
        """The key of a cursor made by `at_time`."""
        return _EPOCH + timedelta(microseconds=self.key)


def write_cursor(cursor: Cursor) -> str:
    """The cursor as URL-safe text."""
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode().rstrip("=")


def read_cursor(text: str, walk: Walk) -> Cursor:
    """Read a cursor of this walk; raises AnswerError `invalid_cursor`."""
    try:
        cursor = Cursor.model_validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        _ = cursor.time
    except (ValidationError, binascii.Error, ValueError, OverflowError) as error:
        raise invalid_cursor() from error
    if cursor.walk != walk or (cursor.id is None) != (walk == "search"):
        raise invalid_cursor()
    return cursor
