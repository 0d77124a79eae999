"""What can go wrong with the embedded servers, each with a sentence for the person who ran the command."""

from pathlib import Path


class StackError(Exception):
    """A server could not be prepared, started or stopped."""


class HomeInUseError(StackError):
    """Another process runs a stack on the same home folder."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"a stack already runs on {home}")
