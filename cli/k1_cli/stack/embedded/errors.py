"""Errors of the embedded servers; each message is a sentence for the person at the terminal."""

from pathlib import Path


class StackError(Exception):
    """A server could not be prepared, started or stopped."""


class HomeInUseError(StackError):
    """Another process runs a stack on the same home."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"a stack already runs on {home}")
