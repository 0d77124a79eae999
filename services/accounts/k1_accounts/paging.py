"""Opaque cursors of lists that are sorted by id, the newest first. Pure."""

import base64
import binascii
import re
from typing import Final

from k1_accounts.errors import invalid_cursor

_ID: Final = re.compile(r"[a-z]{3}_[0-9A-Z]{26}")


def write_cursor(last_id: str) -> str:
    """Return the cursor of the page after `last_id`."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> str | None:
    """Return the id in a cursor; None for the first page.

    Raises:
        QueryError: `invalid_cursor` (422).
    """
    if text is None:
        return None
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise invalid_cursor() from error
    if not _ID.fullmatch(found):
        raise invalid_cursor()
    return found
