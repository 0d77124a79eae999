"""Writes a MIDI file without notes: a tempo map, time signatures, and markers for sections and drops."""

import io
from bisect import bisect_right
from itertools import pairwise
from typing import Final

from mido import MetaMessage, MidiFile, MidiTrack

from k1_gateway.exports.song import Song

TICKS_PER_BEAT: Final = 480
_MAX_TEMPO: Final = 2**24 - 1
"""Microseconds in a beat: three bytes."""
_MAX_NUMERATOR: Final = 255
_LATIN: Final = "latin-1"


def tempo_map(song: Song) -> bytes:
    """Return a format 0 file in which each beat of the map is a quarter note.

    The time before the first beat is a bar of its own. Tempi are whole microseconds; each is rounded so that the error
    does not add up, so a beat is at most 1 µs off.
    """
    times, bars = _grid(song)
    events = [*_tempi(times), *_time_signatures(bars), *_markers(song, times)]
    track = MidiTrack()
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(MetaMessage("end_of_track", time=max((len(times) - 1) * TICKS_PER_BEAT - now, 0)))
    file = MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, charset=_LATIN)
    file.tracks.append(track)
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def _grid(song: Song) -> tuple[list[float], list[int]]:
    """Return the times of all quarter notes in ms, and the number of quarter notes in each bar.

    They begin at 0, so the first beats may be added ones.
    """
    beats = song.rhythm.beat_grid_ms
    if not beats:
        return [0.0, song.metrics.duration_ms], [1]
    typical = (beats[-1] - beats[0]) / (len(beats) - 1) if len(beats) > 1 else 500.0
    shortest = beats[0] * 1000 / _MAX_TEMPO
    lead = 0 if beats[0] == 0 else min(max(1, round(beats[0] / typical), int(shortest) + 1), _MAX_NUMERATOR)
    times = [*(beats[0] * index / lead for index in range(lead)), *beats]
    bars = [lead] if lead else []
    starts = [index for index, position in enumerate(song.positions) if position == 1]
    edges = sorted({0, *starts, len(beats)})
    bars += [after - before for before, after in pairwise(edges)]
    return times, bars


Event = tuple[int, int, MetaMessage]
"""Tick, order among events at the same tick, message."""


def _tempi(times: list[float]) -> list[Event]:
    events: list[Event] = []
    written, last = 0, 0
    for index, (_, after) in enumerate(pairwise(times)):
        tempo = min(max(round((after - times[0]) * 1000) - written, 1), _MAX_TEMPO)
        written += tempo
        if tempo != last:
            events.append((index * TICKS_PER_BEAT, 0, MetaMessage("set_tempo", tempo=tempo)))
        last = tempo
    return events


def _time_signatures(bars: list[int]) -> list[Event]:
    events: list[Event] = []
    beat, last = 0, 0
    for length in bars:
        numerator = min(length, _MAX_NUMERATOR)
        if numerator != last:
            message = MetaMessage("time_signature", numerator=numerator, denominator=4)
            events.append((beat * TICKS_PER_BEAT, 1, message))
        beat, last = beat + length, numerator
    return events


def _markers(song: Song, times: list[float]) -> list[Event]:
    marks = [(section.start_ms, section.label) for section in song.sections]
    marks += [(drop, "drop starts") for drop in song.annotations.drops]
    return [(_tick(times, time), 2, MetaMessage("marker", text=label)) for time, label in sorted(marks)]


def _tick(times: list[float], time_ms: float) -> int:
    """Return the tick of a time; after the last beat the last tempo goes on."""
    index = min(max(bisect_right(times, time_ms) - 1, 0), max(len(times) - 2, 0))
    if index + 1 >= len(times):
        return 0
    share = (time_ms - times[index]) / (times[index + 1] - times[index])
    return max(round((index + share) * TICKS_PER_BEAT), 0)
