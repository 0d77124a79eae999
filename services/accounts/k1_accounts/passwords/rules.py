"""Refuses passwords that are too short or easy to guess. Pure.

The estimate is that of zxcvbn: it knows the commonest passwords, names, dates and keyboard patterns in every
combination, so no rule about kinds of characters is needed (NIST SP 800-63B).
"""

from collections.abc import Collection
from typing import Any, Final, cast

from zxcvbn import zxcvbn  # pyright: ignore[reportUnknownVariableType]

from k1_accounts.errors import weak_password

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 128
_ESTIMATED: Final = 72
"""The time of the estimate grows faster than the length; so many characters are enough to judge by."""
_LOWEST_SCORE: Final = 2
"""About a million guesses; with the throttling of sign-ins they take years."""


def check_password(password: str, known: Collection[str] = ()) -> None:
    """Raise unless this may be a new password; `known` are words about its owner, such as the address.

    Raises:
        QueryError: `weak_password` (422); the message says what to do.
    """
    if len(password) < MIN_LENGTH:
        raise weak_password(f"The password needs at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH:
        raise weak_password(f"The password may have at most {MAX_LENGTH} characters.")
    words = [part for word in known for part in (word, *word.split("@"), *word.split())]
    estimate = cast("dict[str, Any]", zxcvbn(password[:_ESTIMATED], ["k1", *words]))
    if estimate["score"] < _LOWEST_SCORE:
        warning = estimate["feedback"]["warning"] or "This password is easy to guess."
        raise weak_password(f"{warning} Take another one, for example four unusual words.")
