"""Beats mended with the mouse: inserted, dragged and deleted on the canvas, and laid by tempo anchors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support import songs
from tests.web.conftest import Stage

NEAR_MS: Final = 15
"""A pixel of the canvas is about 10 ms of a song that is shown as a whole."""
BY_MS: Final = 50
"""A drag longer than a click, and so short that it counts as a movement of the same beat."""
STEADY_S: Final = tuple(np.arange(0.1, 4.2, 0.5).tolist())
"""The beats at 120 BPM, before the tempo changes to 100 BPM."""
SLOWER_S: Final = tuple(np.arange(STEADY_S[-1] + 0.6, 11.5, 0.6).tolist())
SECONDS: Final = 11.8


class Canvas:
    """The waveform with the beats; it shows the whole song."""

    def __init__(self, page: Page, duration_ms: float) -> None:
        self.page = page
        self.duration_ms = duration_ms
        self.element: Locator = page.get_by_role("img", name="Waveform with beats")
        # Beats snap to onsets in the decoded audio.
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()

    def point(self, ms: float) -> tuple[float, float]:
        """Return the place of a time in the page."""
        box = self.element.bounding_box()
        assert box is not None
        return box["x"] + ms / self.duration_ms * box["width"], box["y"] + box["height"] / 2

    def click(self, ms: float) -> None:
        self.page.mouse.click(*self.point(ms))

    def double_click(self, ms: float) -> None:
        self.page.mouse.dblclick(*self.point(ms))

    def drag(self, from_ms: float, to_ms: float) -> None:
        self.page.mouse.move(*self.point(from_ms))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(to_ms), steps=4)
        self.page.mouse.up()

    @contextmanager
    def holding(self, key: str) -> Iterator[None]:
        """Hold a key down while the mouse is used."""
        self.page.keyboard.down(key)
        yield
        self.page.keyboard.up(key)


def test_beats_are_mended_by_mouse(stage: Stage, visit: Any) -> None:
    """A double click inserts, a drag moves, a click selects for deletion; undo and redo go step by step."""
    track_id = stage.tracks["Blue hour"]
    before = current_beats(stage, track_id)
    page = visit("operator").open(f"/tracks/{track_id}")
    canvas = Canvas(page, duration_of(stage, track_id))
    inserted, dragged, deleted = (before[5] + before[6]) / 2, before[2], before[9]
    changes = ["1 added", "1 moved, 1 added", "1 moved, 1 added, 1 removed"]
    with canvas.holding("Alt"):  # without snapping to onsets
        canvas.double_click(inserted)
        expect(page.get_by_text(changes[0])).to_be_visible()
        canvas.drag(dragged, dragged + BY_MS)
    expect(page.get_by_text(changes[1])).to_be_visible()
    canvas.click(deleted)
    expect(page.get_by_text("1 beat is selected")).to_be_attached()
    page.get_by_role("button", name="Delete the selected beats").click()
    expect(page.get_by_text(changes[2])).to_be_visible()

    for left in (changes[1], changes[0], "Saved"):
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("tabpanel").get_by_text(left)).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    for there in changes:
        page.get_by_role("button", name="Redo").click()
        expect(page.get_by_role("tabpanel").get_by_text(there)).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version")).to_be_visible()

    mended = current_beats(stage, track_id)
    expected = sorted([*before[:2], dragged + BY_MS, *before[3:9], inserted, *before[10:]])
    assert mended == pytest.approx(expected, abs=NEAR_MS)
    assert set(mended) - set(before) == {at_about(dragged + BY_MS, mended), at_about(inserted, mended)}


def test_a_song_with_two_tempos_is_mended_with_anchors(stage: Stage, visit: Any) -> None:
    """An anchor holds where the tempo changes, another is dragged to its onset: what stands before does not move."""
    audio = songs.pulse(790, seconds=SECONDS, beats=[*STEADY_S, *SLOWER_S])
    track_id = stage.add_song("Slow turn", songs.wav(audio))
    # As if the analysis had missed the change: the first tempo goes on to the end.
    wrong = [round(ms) for ms in np.arange(STEADY_S[0], SECONDS - 0.3, 0.5) * 1000]
    save_beats(stage, track_id, wrong)
    turn, far = len(STEADY_S) - 1, len(STEADY_S) + 9
    right_ms = [1000 * time for time in SLOWER_S]

    page = visit("operator").open(f"/tracks/{track_id}")
    canvas = Canvas(page, duration_of(stage, track_id))
    canvas.click(wrong[turn])
    expect(page.get_by_text("1 beat is selected")).to_be_attached()
    page.get_by_role("button", name="Set or clear a tempo anchor").click()
    with canvas.holding("Control"):
        canvas.drag(wrong[far], right_ms[9])
    expect(page.get_by_text(re.compile(r"^\d+ moved"))).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3")).to_be_visible()

    mended = current_beats(stage, track_id)
    assert mended[: turn + 1] == wrong[: turn + 1]
    assert mended[turn + 1 :] == pytest.approx(right_ms, abs=NEAR_MS)


def current_beats(stage: Stage, track_id: str) -> list[float]:
    """Return the beats of the version that is in use, in ms."""
    version = stage.call("GET", f"/tracks/{track_id}")["track"]["current_version"]
    return stage.call("GET", f"/tracks/{track_id}/versions/{version}/beat-override")["beats_ms"]


def duration_of(stage: Stage, track_id: str) -> float:
    return stage.call("GET", f"/tracks/{track_id}")["track"]["duration_ms"]


def save_beats(stage: Stage, track_id: str, beats_ms: list[int]) -> None:
    """Save beats of a track that has one version; every fourth begins a bar."""
    path = f"/tracks/{track_id}/versions/1/beat-override"
    etag = stage.call("GET", path)["etag"]
    body = {"beats_ms": beats_ms, "downbeats": list(range(0, len(beats_ms), 4)), "note": "one tempo"}
    stage.call("POST", path, json=body, headers={"If-Match": f'"{etag}"'})


def at_about(ms: float, beats_ms: list[float]) -> float:
    """Return the beat that is nearest to a time."""
    return min(beats_ms, key=lambda each: abs(each - ms))
