"""Opaque cursors, which say where the next page of a list begins. Pure.

Every list of the API writes them in one way: a JSON object as base64url. Lists that are sorted by time and id, or by id
alone, share `LastRow`; a list with other sort keys has a model of its own.
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from k1_platform.nats.queries.rpc import QueryError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
C = TypeVar("C", bound=BaseModel)


class LastRow(BaseModel):
    """The last row of a page. The field names are in the cursors that clients hold."""

    model_config = ConfigDict(frozen=True)

    walk: str
    """The list that the cursor belongs to."""
    id: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,64}$")]
    key: Annotated[int, Field(ge=0, le=2**52)] | None = None
    """The time of the row in microseconds since 1970, in a list that is sorted by time and id."""

    @property
    def time(self) -> datetime | None:
        """Return the time of the row; None in a list that is sorted by id alone."""
        return None if self.key is None else _EPOCH + timedelta(microseconds=self.key)


def encode_cursor(cursor: BaseModel) -> str:
    """Return the cursor as URL-safe text."""
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode().rstrip("=")


def decode_cursor(text: str, model: type[C]) -> C:
    """Return the cursor in `text`.

    Raises:
        QueryError: `invalid_cursor` (422).
    """
    try:
        return model.model_validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValidationError, binascii.Error, ValueError) as error:
        raise invalid_cursor() from error


def cursor_after(walk: str, last_id: str, time: datetime | None = None) -> str:
    """Return the cursor of the page after a row of the list `walk`; `time` where the list is sorted by time and id."""
    key = None if time is None else (time - _EPOCH) // timedelta(microseconds=1)
    return encode_cursor(LastRow(walk=walk, id=last_id, key=key))


def row_before(text: str | None, walk: str, *, by_time: bool) -> LastRow | None:
    """Return the row after which the page begins; None for the first page.

    Raises:
        QueryError: `invalid_cursor` (422), also for a cursor of another list, because it would skip rows silently.
    """
    if text is None:
        return None
    row = decode_cursor(text, LastRow)
    if row.walk != walk or (row.key is None) == by_time:
        raise invalid_cursor()
    return row


def invalid_cursor() -> QueryError:
    """Return the error for a cursor that the list did not write."""
    message = "The cursor does not belong to this list and sort; start again without a cursor."
    return QueryError("invalid_cursor", message, HTTPStatus.UNPROCESSABLE_ENTITY)
