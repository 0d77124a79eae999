"""Finds the best position in the bar of each beat, for several meters at once: Viterbi's algorithm."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Seconds

_RESET_COST: Final = 40.0
"""Log-odds against a bar that starts early, as after a cut. With 16, wrong bars began in the middle of three of six
real songs; more than 40 leaves the bars wrong after a beat that the tracker missed."""
_RESUME_COST: Final = 2.0
"""The same after a silence, where a song may well begin with a bar."""


def best_positions(
    evidence: Seconds, meters: Sequence[int], numbers: NDArray[np.int64]
) -> list[tuple[float, NDArray[np.int64]]]:
    """Return, for each meter, (mean evidence of the best path, (n,) position in the bar of each beat).

    A path has a phase: the remainder of the numbers of its downbeats. One pass scores the phases of all meters, side
    by side in the columns of one array.
    """
    n, width = len(evidence), np.array(meters)
    first = np.cumsum(width) - width
    owner = np.repeat(np.arange(len(width)), width)
    phase = np.arange(len(owner)) - first[owner]
    is_downbeat = numbers[:, None] % width[owner] == phase
    emission = np.where(is_downbeat, evidence[:, None], -evidence[:, None] / (width[owner] - 1))
    cost = np.where(np.diff(numbers) == 1, _RESET_COST, _RESUME_COST)
    scores = np.empty_like(emission)
    scores[0] = emission[0]
    jumped = np.zeros(emission.shape, bool)
    for beat in range(1, n):
        stay = scores[beat - 1]
        jump = (np.maximum.reduceat(stay, first) - cost[beat - 1])[owner]
        np.less(stay, jump, out=jumped[beat])
        np.add(np.maximum(stay, jump), emission[beat], out=scores[beat])
    columns = [slice(begin, begin + meter) for begin, meter in zip(first, meters, strict=True)]
    return [
        (float(scores[-1, own].max()) / n, _trace_back(scores[:, own], jumped[:, own], numbers))
        for own in columns
    ]


def _trace_back(
    scores: NDArray[np.float64], jumped: NDArray[np.bool_], numbers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (n,) the positions in the bar on the best path of one meter.

    Args:
        scores: (n, meter) of the best path to each phase at each beat.
        jumped: (n, meter) whether that path had another phase at the beat before.
        numbers: (n,) of the beats.
    """
    meter = scores.shape[1]

    def best(beat: int) -> int:
        """Return the best phase at a beat; of equal ones that with the lowest position in the bar."""
        by_position = (int(numbers[beat]) - np.arange(meter)) % meter
        return int(by_position[scores[beat, by_position].argmax()])

    end, phase = len(scores), best(-1)
    positions = np.empty(len(scores), np.int64)
    while end:
        changes = np.flatnonzero(jumped[:end, phase])
        begin = int(changes[-1]) if len(changes) else 0
        positions[begin:end] = (numbers[begin:end] - phase) % meter
        end = begin
        phase = best(begin - 1) if begin else phase
    return positions
