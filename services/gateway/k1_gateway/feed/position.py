"""The ids of the feed: a place in the two streams that it is read from.

The id of an event says how far its reader has come in both streams: the sequence in EVENTS and that in LIVE. Sequences
are the broker's, so an id from one gateway is a place for every other one, and after a restart too. Along one
connection neither number falls, and both have a fixed width, so ids sort as texts. Decision 0043.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

_WIDTH: Final = 12
POSITION_PATTERN: Final = rf"^[0-9]{{{_WIDTH}}}-[0-9]{{{_WIDTH}}}$"
POSITION_LENGTH: Final = 2 * _WIDTH + 1


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to these sequences has been read."""

    event: int
    """The sequence in EVENTS."""
    sample: int
    """The sequence in LIVE."""

    def __str__(self) -> str:
        return f"{self.event:0{_WIDTH}d}-{self.sample:0{_WIDTH}d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position of an id; raise ValueError if it is none."""
        if not re.fullmatch(POSITION_PATTERN, text):
            raise ValueError("is no id of an event; use one that an event had, or none")
        event, _, sample = text.partition("-")
        return cls(int(event), int(sample))

    def joined(self, other: "Position") -> "Position":
        """Return the position of a reader who has come to both."""
        if other.event >= self.event and other.sample >= self.sample:
            return other
        if self.event >= other.event and self.sample >= other.sample:
            return self
        return Position(max(self.event, other.event), max(self.sample, other.sample))
