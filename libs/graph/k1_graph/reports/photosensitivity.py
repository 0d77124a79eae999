"""Checks a show for photosensitivity: the worst second of each kind of flash, and the node that causes it."""

from collections.abc import Callable

import numpy as np

from k1_contracts.graph import FlashFinding, FlashSpan, Photosensitivity
from k1_graph.colour import Array
from k1_graph.executor.rendering import render
from k1_graph.graph import Graph
from k1_graph.limits import FPS, FRAME_MS
from k1_graph.reports.flashes import (
    AREA_THRESHOLD,
    MAX_TRANSITIONS,
    FlashCounts,
    FlashMeter,
    count_flashes,
    to_linear_light,
)
from k1_graph.song import SampledSong

_WARM_UP_FRAMES = 3 * FPS

FindCause = Callable[[int, bool], str | None]
"""Returns the node that causes the failure of the window from a frame on; the flag selects red flashes."""


class PhotosensitivityCheck:
    """Checks for both kinds of flash over pixels that arrive in chunks."""

    def __init__(self) -> None:
        self._general = FlashMeter(red=False)
        self._red = FlashMeter(red=True)

    def feed(self, pixels: Array) -> None:
        """Process the next frames, (n, 180, 3) uint8."""
        light = to_linear_light(pixels)
        self._general.feed(light)
        self._red.feed(light)

    def result(self, find_cause: FindCause) -> Photosensitivity:
        general = _finding(self._general.result(), find_cause, red=False)
        red = _finding(self._red.result(), find_cause, red=True)
        return Photosensitivity(
            passed=general.passed and red.passed,
            standard="WCAG 2.3.1",
            area_threshold=AREA_THRESHOLD,
            general=general,
            red=red,
        )


def causing_node(graph: Graph, song: SampledSong, first_frame: int, red: bool) -> str | None:
    """Return the first node in frame order whose mean, in place of its values, makes the window pass.

    The window is rendered alone, after three seconds of warm-up. Returns None when the window does not fail that way,
    or when no single node causes the failure.
    """
    start = max(0, first_frame - _WARM_UP_FRAMES)
    stop = first_frame + FPS

    def fails(held_node: str | None) -> bool:
        pixels = list(
            render(graph, song, chunk_frames=stop - start, start=start, stop=stop, held_node=held_node)
        )
        counts = count_flashes(pixels, red=red).transitions
        return bool(counts[-1] > MAX_TRANSITIONS)

    if not fails(None):
        return None
    moving = (n.id for n in graph.nodes.values() if n.spec.behaviour not in {"constant", "root"})
    return next((name for name in moving if not fails(name)), None)


def _finding(counts: FlashCounts, find_cause: FindCause, *, red: bool) -> FlashFinding:
    worst = int(np.argmax(counts.transitions))
    transitions = int(counts.transitions[worst])
    passed = transitions <= MAX_TRANSITIONS
    first_frame = max(0, worst - FPS + 1)
    return FlashFinding(
        kind="red" if red else "general",
        passed=passed,
        max_flashes_per_second=transitions / 2.0,
        at_ms=first_frame * FRAME_MS if transitions else None,
        fraction=round(float(counts.fraction[worst]), 3) if transitions else 0.0,
        node=None if passed else find_cause(first_frame, red),
        spans=_spans(counts.transitions > MAX_TRANSITIONS),
    )


def _spans(failing: Array) -> list[FlashSpan]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], failing, [False]]).astype(np.int8)))
    starts = np.maximum(edges[::2] - FPS + 1, 0) * FRAME_MS
    ends = np.maximum(edges[1::2] - FPS + 1, 0) * FRAME_MS
    return [
        FlashSpan(start_ms=float(start), end_ms=float(end)) for start, end in zip(starts, ends, strict=True)
    ]
