"""Reads the beats of a MIDI file: its tempo map and its time signatures say when they are."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import mido

from .annotation import PieceBeats

_TEMPO: Final = 500_000
"""Microseconds a quarter note where the file gives none (120 BPM)."""
_ON_GRID: Final = 0.03
"""Greatest distance of a note from the grid, as a share of a quarter note."""
_EARLY: Final = 1 / 12
"""How long before the first note its beat may be, as a share of a quarter note."""
_FEWEST_ON_GRID: Final = 0.8
"""Share of the notes on the grid from which the file was composed on it, not recorded beside it."""


def read_beats(file: mido.MidiFile) -> PieceBeats | None:
    """Return the beats of a piece from its first note to its last; None if its notes are not on its grid, or it has none.

    A beat is a quarter note, or what the denominator of the time signature says; three of them in 6/8, 9/8 and 12/8. A
    file that was played freely has a grid that its notes do not follow: it says nothing about the beats.
    """
    quarter = file.ticks_per_beat
    events = list(_at_ticks(file))
    notes = [tick for tick, message in events if message.type == "note_on" and message.velocity > 0]
    if not notes or not _is_on_grid(notes, quarter):
        return None
    clock = _Clock(
        [(tick, message.tempo) for tick, message in events if message.type == "set_tempo"], quarter
    )
    signatures = [
        (tick, message.numerator, message.denominator)
        for tick, message in events
        if message.type == "time_signature"
    ]
    first = notes[0] - _EARLY * quarter
    beats = [beat for beat in _ticks(signatures, quarter, notes[-1]) if beat[0] >= first]
    return PieceBeats(
        tuple(clock.seconds(tick) for tick, _ in beats), tuple(position for _, position in beats)
    )


def _at_ticks(file: mido.MidiFile) -> Iterator[tuple[int, Any]]:
    """Yield the messages of all tracks with their ticks from the start of the piece; mido declares no fields of them."""
    messages: list[Any] = list(mido.merge_tracks(file.tracks))
    yield from zip(accumulate(message.time for message in messages), messages, strict=True)


def _is_on_grid(notes: Sequence[int], quarter: int) -> bool:
    """Return whether most notes are at quarters, or at fourths, thirds or sixths of them."""

    def share(parts: int) -> float:
        step = quarter / parts
        near = [abs((tick + step / 2) % step - step / 2) <= _ON_GRID * quarter for tick in notes]
        return sum(near) / len(near)

    return max(share(4), share(6)) >= _FEWEST_ON_GRID


class _Clock:
    """Turns ticks into seconds by a tempo map."""

    def __init__(self, tempi: Sequence[tuple[int, int]], quarter: int) -> None:
        self._changes = [(0, _TEMPO), *tempi]
        self._quarter = quarter
        lengths = (
            mido.tick2second(end - start, quarter, tempo)
            for (start, tempo), (end, _) in pairwise(self._changes)
        )
        self._starts_s = list(accumulate(lengths, initial=0.0))

    def seconds(self, tick: int) -> float:
        """Return the time of a tick in seconds."""
        index = bisect_right(self._changes, tick, key=lambda change: change[0]) - 1
        start, tempo = self._changes[index]
        return self._starts_s[index] + mido.tick2second(tick - start, self._quarter, tempo)


def _ticks(signatures: Sequence[tuple[int, int, int]], quarter: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield (tick, place in the bar) of each beat up to the tick `last`; a bar begins at each time signature."""
    spans = [(0, 4, 4), *signatures, (last + 1, 4, 4)]
    for (start, numerator, denominator), (end, _, _) in pairwise(spans):
        is_compound = denominator == 8 and numerator % 3 == 0 and numerator > 3
        step = quarter * 4 // denominator * (3 if is_compound else 1)
        beats_per_bar = numerator // 3 if is_compound else numerator
        for number, tick in enumerate(range(start, end, step)):
            yield tick, number % beats_per_bar + 1
