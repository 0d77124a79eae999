"""Explains a full disk to the person at the terminal; for every command and for the start of a stack."""

import errno
import os
from collections.abc import Iterator
from typing import Final

from k1_cli.output.hints import k1_command

FREE_SPACE_ADVICE: Final = "; free some space, or choose a home on another disk with --home"
"""What to do when the disk of a home is full; it follows a sentence that says so."""
FULL_DISK_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full_disk(error: BaseException) -> bool:
    """Return whether the error or one of its causes is that a disk or a quota is full."""
    return any(isinstance(cause, OSError) and cause.errno in FULL_DISK_ERRNOS for cause in _causes(error))


def describe_full_disk() -> str:
    """Return what to do when any disk is full; the part of the sentence after what could not be written."""
    doctor = k1_command("doctor")
    return f"the disk is full: free some space and try again; {doctor} tells how much there is"


def add_advice(sentence: str) -> str:
    """Return the sentence, with advice below it where it quotes a log that reports a full disk."""
    if os.strerror(errno.ENOSPC) in sentence and FREE_SPACE_ADVICE not in sentence:
        return f"{sentence}\nThe disk is full{FREE_SPACE_ADVICE}"
    return sentence


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
