"""Opaque cursors, which say where the next page of a list begins. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from k1_contracts.base import NO_NUL
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.tracks import TrackSort
from k1_platform.cursors import decode_cursor, encode_cursor, invalid_cursor

ListOrder = TrackSort | Literal["search"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TitleKey = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
"""PostgreSQL refuses NUL, which only a made-up cursor can hold."""


class Cursor(BaseModel):
    """The sort key and the id of the last row of a page: a figure, a time, or the key of a title.

    In a search, `key` is the number of rows before the next page.

    The field names are in the cursors that clients hold. `walk` is the order of the list.
    """

    model_config = ConfigDict(frozen=True)

    walk: ListOrder
    key: Annotated[float, Field(allow_inf_nan=False, ge=-1, le=2**53)] | TitleKey
    id: TrackId | None = None

    @classmethod
    def at_time(cls, order: ListOrder, time: datetime, last_id: str) -> Self:
        """Return a cursor whose key is a time, to the microsecond."""
        return cls(walk=order, key=(time - _EPOCH) // timedelta(microseconds=1), id=last_id)

    @property
    def time(self) -> datetime:
        """Return the key of a cursor that `at_time` made."""
        return _EPOCH + timedelta(microseconds=self.number)

    @property
    def number(self) -> float:
        """Return the key of a cursor whose key is a number."""
        if isinstance(self.key, str):
            raise TypeError("the key is a text")
        return self.key


def write_cursor(cursor: Cursor) -> str:
    """Return the cursor as URL-safe text."""
    return encode_cursor(cursor)


def read_cursor(text: str, order: ListOrder) -> Cursor:
    """Return the cursor in `text`; raise `invalid_cursor` if it is not one of a list in this order."""
    cursor = decode_cursor(text, Cursor)
    if isinstance(cursor.key, str) != (order == "title"):
        raise invalid_cursor()
    if cursor.walk != order or (cursor.id is None) != (order == "search"):
        raise invalid_cursor()
    return cursor
