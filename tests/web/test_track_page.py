"""The page of a track: the strip in time with the sound, charts, notes, versions and history."""

import re
from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.web.conftest import Stage

MOST_MS: Final = 20
"""How far the frame of the strip may be from what is heard, for 95 of 100 frames."""

MEASURE: Final = """() => {
    const frames = window.k1DrawnFrames.slice(10);
    const errors = frames.map(({ shownMs, heardMs }) => Math.abs(shownMs - heardMs)).sort((a, b) => a - b);
    const [first, last] = [frames[0], frames.at(-1)];
    return {
        count: frames.length,
        p95: errors[Math.floor(0.95 * (errors.length - 1))],
        rate: (last.heardMs - first.heardMs) / (last.at - first.at),
    };
}"""


def test_the_strip_is_in_time_with_the_sound(stage: Stage, visit: Any) -> None:
    """At both speeds; it stands still until someone wants it, because the browser asks for less motion."""
    page = visit("viewer").open(f"/tracks/{stage.tracks['Night drive']}")
    strip = page.get_by_role("img", name="The 180 LEDs of the strip at the playhead")
    show = page.get_by_role("button", name="Show the strip")
    expect(show).to_be_enabled()
    expect(strip).to_have_count(0)
    show.click()
    expect(strip).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    assert_in_time(page, rate=1)
    page.get_by_role("button", name="Half speed").click()
    assert_in_time(page, rate=0.5)
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def assert_in_time(page: Page, rate: float) -> None:
    page.wait_for_timeout(500)
    page.evaluate("window.k1DrawnFrames = []")
    page.wait_for_timeout(3_000)
    measured = page.evaluate(MEASURE)
    assert measured["count"] > 20, measured
    assert measured["p95"] < MOST_MS, measured
    assert abs(measured["rate"] - rate) < 0.02, measured


def test_charts_say_in_words_what_they_show(stage: Stage, visit: Any) -> None:
    """They zoom, and give their values as a file."""
    page = visit("viewer").open(f"/tracks/{stage.tracks['Night drive']}/charts")
    bands = page.get_by_role("region", name="Bands")
    expect(
        bands.get_by_text(re.compile(r"^0:00 to .*Bass: \d\.\d\d to \d\.\d\d, on average"))
    ).to_be_visible()
    expect(page.get_by_role("region", name="Dynamics").get_by_text("LUFS", exact=False).first).to_be_visible()
    expect(
        page.get_by_role("region", name="Spectral").get_by_text("Centroid", exact=False).first
    ).to_be_visible()
    page.get_by_role("radio", name="5 s").click()
    expect(bands.get_by_text(re.compile(r"^0:\d\d to 0:0[4-7]\."))).to_be_visible()
    bands.get_by_role("button", name="Download or copy").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Values (CSV)").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "time_ms,bass,mids,highs"
    times = [float(line.split(",")[0]) for line in lines[1:]]
    assert times
    assert max(times) - min(times) <= 5_000


def test_notes_save_themselves_and_are_in_the_history(stage: Stage, visit: Any) -> None:
    """Markdown becomes no part of the page; the history shows the track as it was without them."""
    track_id = stage.tracks["Paper moon"]
    page = visit("operator").open(f"/tracks/{track_id}/notes")
    page.get_by_label("Notes (Markdown)").fill("# Cues\n- [ ] **strobe** at 1:20\n<b id=bad>x</b>")
    expect(page.get_by_role("tabpanel").get_by_role("status")).to_have_text("Saved")
    assert stage.call("GET", f"/tracks/{track_id}")["track"]["notes"].startswith("# Cues")
    page.get_by_role("radio", name="Read", exact=True).click()
    expect(page.get_by_role("heading", name="Cues")).to_be_visible()
    expect(page.locator("strong", has_text="strobe")).to_be_visible()
    expect(page.locator("#bad")).to_have_count(0)

    page.get_by_role("tab", name="History").click()
    entries = page.get_by_role("tabpanel").get_by_role("listitem")
    expect(entries.first).to_contain_text("Edited by Operator Example")
    entries.first.get_by_text("1 change").click()
    expect(entries.first.get_by_role("row").filter(has_text="Notes")).to_contain_text("# Cues")
    entries.nth(1).get_by_role("button", name="As it was").click()
    expect(page.get_by_text("You see the track as it was")).to_be_visible()
    page.get_by_role("tab", name="Notes").click()
    expect(page.get_by_text("No notes yet.")).to_be_visible()
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("heading", name="Cues")).to_be_visible()


def test_versions_are_compared_and_put_into_use(stage: Stage, visit: Any) -> None:
    """Saved beats are a version; the one before can be looked at, compared and used again."""
    track_id = stage.tracks["Paper moon"]
    beats = stage.call("GET", f"/tracks/{track_id}/versions/1/beat-override")
    moved = [beats["beats_ms"][0] + 10, *beats["beats_ms"][1:]]
    body = {"beats_ms": moved, "downbeats": beats["downbeats"], "note": "by ear"}
    headers = {"If-Match": f'"{beats["etag"]}"'}
    stage.call("POST", f"/tracks/{track_id}/versions/1/beat-override", json=body, headers=headers)

    page = visit("operator").open(f"/tracks/{track_id}")
    version = page.get_by_label("Version", exact=True)
    expect(version).to_have_value("2")
    expect(page.get_by_text("Manual override")).to_be_visible()
    page.get_by_role("button", name="Compare versions").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 moved, 0 added, 0 removed")
    page.keyboard.press("Escape")
    version.select_option("1")
    expect(page.get_by_text("You are looking at version 1. Version 2 is in use.")).to_be_visible()
    page.get_by_role("button", name="Use this version").click()
    expect(page.get_by_text("Version 1 is in use", exact=True)).to_be_visible()
    expect(page.get_by_text("You are looking at")).to_have_count(0)
    assert stage.call("GET", f"/tracks/{track_id}")["track"]["current_version"] == 1
