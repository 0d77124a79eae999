"""Counts flashes after WCAG 2.3.1 ("three flashes or below threshold") and its definition of the thresholds.

A *general flash* is a pair of opposing changes of relative luminance of 10 % or more of the maximum, where the darker state
is below 0.80. A *red flash* is a pair of opposing changes of (R - G - B) x 320 of more than 20 (negative values count as 0, R,
G and B linear) with a saturated red, R / (R + G + B) >= 0.8, in either state. More than three flashes of a kind within
a second fail, unless they cover at most a quarter of the field; here of the LEDs, as the viewing distance is unknown.

Changes are counted in two ways, and the larger count is used:

* per LED: the number of opposing changes that more than a quarter of the LEDs reach within the second, simultaneously
  or not. This also detects checkerboards and alternating halves;
* for the whole strip: net opposing changes of the lit area by more than a quarter of the LEDs within 160 ms (half a
  period of three flashes a second). This also detects different parts that flash one after another. A light that moves
  along the strip does not change the lit area and is no flash.

Three flashes are six changes; a seventh opposing change within the second is more than three flashes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from k1_graph.colour import Array, srgb_to_linear_table
from k1_graph.limits import FPS, LEDS

MAX_TRANSITIONS = 6
AREA_THRESHOLD = 0.25

_AREA_LEDS = int(LEDS * AREA_THRESHOLD) + 1
"""The smallest number of LEDs that is more than a quarter."""
_TOGETHER_FRAMES = 8
_GENERAL_CHANGE = 0.1
_DARK = 0.8
_RED_CHANGE = 20.0
_RED_SCALE = 320.0
_RED_SHARE = 0.8
_EPSILON = 1e-9
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, slots=True)
class FlashCounts:
    """Flash counts of the one-second window that ends with each frame."""

    transitions: Array
    """(frames,) number of opposing changes of more than a quarter of the LEDs."""
    fraction: Array
    """(frames,) share of the LEDs that changed."""


class FlashMeter:
    """Counts one kind of flash over pixels that arrive in chunks."""

    def __init__(self, *, red: bool) -> None:
        self._red = red
        self._detector = _ChangeDetector(_RED_CHANGE + _EPSILON if red else _GENERAL_CHANGE - _EPSILON)
        self._recent = np.zeros((FPS - 1, LEDS), dtype=np.uint8)
        self._frames = 0
        self._counts: list[Array] = []
        self._fractions: list[Array] = []

    def feed(self, light: Array) -> None:
        """Process the linear light of the next frames, (n, 180, 3)."""
        level, marked = _red_level(light) if self._red else _luminance(light)
        changes = np.concatenate([self._recent, self._detector.feed(level, marked, self._frames)])
        self._recent = changes[len(light) :]
        sums = np.concatenate([np.zeros((1, LEDS), dtype=np.int32), changes.cumsum(axis=0, dtype=np.int32)])
        per_led = sums[FPS:] - sums[:-FPS]
        rank = LEDS - _AREA_LEDS
        reached = np.partition(per_led, rank, axis=1)[:, rank]
        area = self._area_changes(len(light))
        participating = np.where(
            (reached >= area)[:, None], per_led >= np.maximum(reached, 1)[:, None], per_led > 0
        )
        self._counts.append(np.maximum(reached, area))
        self._fractions.append(participating.mean(axis=1))
        self._frames += len(light)

    def result(self) -> FlashCounts:
        return FlashCounts(np.concatenate(self._counts), np.concatenate(self._fractions))

    def _area_changes(self, frames: int) -> Array:
        """Return the changes of the whole strip in the window that ends with each new frame, shape (frames,)."""
        at = np.array(self._detector.area_changes, dtype=np.int64)
        ends = self._frames + np.arange(frames)
        return np.searchsorted(at, ends, side="right") - np.searchsorted(at, ends - FPS, side="right")


class _ChangeDetector:
    """Finds, for each LED, where a level has changed by the threshold since its last extreme.

    A change counts only if one of its two states is marked (dark enough, or a saturated red).
    """

    def __init__(self, threshold: float) -> None:
        self.area_changes: list[int] = []
        self._threshold = threshold
        self._high: Array = np.full(LEDS, -np.inf)
        self._low: Array = np.full(LEDS, np.inf)
        self._high_marked: Array = np.zeros(LEDS, dtype=np.bool_)
        self._low_marked: Array = np.zeros(LEDS, dtype=np.bool_)
        self._direction: Array = np.zeros(LEDS, dtype=np.int8)
        self._changed_at: Array = np.full(LEDS, -1)
        self._area_direction = 0

    def feed(self, level: Array, marked: Array, first_frame: int) -> Array:
        """Return an (n, 180) uint8 array with 1 where an LED completes a change."""
        changes = np.zeros(level.shape, dtype=np.uint8)
        for row in range(len(level)):
            changed = self._detect_changes(level[row], marked[row])
            if changed is not None:
                changes[row] = changed
                self._changed_at[changed] = first_frame + row
                self._update_area(first_frame + row)
        return changes

    def _detect_changes(self, level: Array, marked: Array) -> Array | None:
        higher = level > self._high
        lower = level < self._low
        np.copyto(self._high, level, where=higher)
        np.copyto(self._high_marked, marked, where=higher)
        np.copyto(self._low, level, where=lower)
        np.copyto(self._low_marked, marked, where=lower)
        rise = (level - self._low >= self._threshold) & (self._direction <= 0)
        fall = (self._high - level >= self._threshold) & (self._direction >= 0)
        rise &= marked | self._low_marked
        fall &= marked | self._high_marked
        changed = rise | fall
        if not changed.any():
            return None
        self._direction[rise] = 1
        self._direction[fall] = -1
        np.copyto(self._high, level, where=rise)
        np.copyto(self._high_marked, marked, where=rise)
        np.copyto(self._low, level, where=fall)
        np.copyto(self._low_marked, marked, where=fall)
        return changed

    def _update_area(self, frame: int) -> None:
        last = self.area_changes[-1] if self.area_changes else -1
        recent = self._changed_at > max(last, frame - _TOGETHER_FRAMES)
        net = int(self._direction[recent].sum(dtype=np.int64))
        direction = (net > 0) - (net < 0)
        if abs(net) >= _AREA_LEDS and direction != self._area_direction:
            self._area_direction = direction
            self.area_changes.append(frame)


def to_linear_light(pixels: Array) -> Array:
    """Convert 8-bit sRGB pixels to linear light (n, 180, 3)."""
    return srgb_to_linear_table()[pixels]


def count_flashes(pixels: Sequence[Array], *, red: bool) -> FlashCounts:
    """Count one kind of flash over chunks of pixels, each (n, 180, 3) uint8 at 50 frames per second."""
    meter = FlashMeter(red=red)
    for chunk in pixels:
        meter.feed(to_linear_light(chunk))
    return meter.result()


def _luminance(light: Array) -> tuple[Array, Array]:
    level = light @ _WEIGHTS
    return level, level < _DARK


def _red_level(light: Array) -> tuple[Array, Array]:
    red = light[..., 0]
    total = light.sum(axis=-1)
    level = np.maximum(2.0 * red - total, 0.0) * _RED_SCALE
    return level, (red >= _RED_SHARE * total - _EPSILON) & (total > 0)
