"""Songs in the browser: uploading, finding, mending their beats, deleting; and what is kept over a reload."""

import json
import re
from typing import Any

from playwright.sync_api import expect

from tests.support import songs
from tests.web.conftest import Stage

SUMMARY = re.compile(r"\d+ beats in \d+ bars")


def test_three_files_of_which_one_is_refused(stage: Stage, visit: Any) -> None:
    """The refused one is never sent and says why; the others show their progress until they are ready."""
    page = visit("operator").open("/tracks")
    expect(page.get_by_role("grid", name="Tracks")).to_be_visible()
    page.locator("input[type=file]").set_input_files(
        [
            {"name": "first upload.wav", "mimeType": "audio/wav", "buffer": songs.song(901)},
            {"name": "second upload.mp3", "mimeType": "audio/mpeg", "buffer": songs.mp3(902)},
            {"name": "notes.mp3", "mimeType": "audio/mpeg", "buffer": b"%PDF-1.7 no song at all" * 99},
        ]
    )
    queue = page.get_by_role("region", name="Uploads")
    refused = queue.get_by_role("listitem").filter(has_text="notes.mp3")
    expect(refused.get_by_role("alert")).to_contain_text("Choose an MP3, WAV, FLAC, OGG, M4A or AIFF file")
    for name in ("first upload", "second upload"):
        expect(queue.get_by_role("listitem").filter(has_text=name)).to_contain_text("Ready", timeout=90_000)
        expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="notes")).to_have_count(0)


def test_the_search_is_in_the_address(stage: Stage, visit: Any) -> None:
    """It narrows the list, survives a reload, and going back undoes it."""
    visitor = visit("viewer")
    page = visitor.open("/tracks")
    expect(visitor.row("Night drive")).to_be_visible()
    page.get_by_label("Search title, artist and tags").fill("copper")
    expect(visitor.row("Night drive")).to_have_count(0)
    expect(visitor.row("Copper rain")).to_be_visible()
    assert "q=copper" in page.url
    page.reload()
    expect(visitor.row("Copper rain")).to_be_visible()
    expect(visitor.row("Night drive")).to_have_count(0)


def test_beats_are_mended_by_keyboard_and_others_see_it(stage: Stage, visit: Any) -> None:
    """Select, nudge, undo, redo and save, without the mouse; another browser shows the new version by itself."""
    track_id = stage.tracks["Copper rain"]
    other = visit("viewer").open(f"/tracks/{track_id}")
    expect(other.get_by_text(SUMMARY)).to_be_attached()
    page = visit("operator").open(f"/tracks/{track_id}")
    expect(page.get_by_text(SUMMARY)).to_be_attached()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("1 beat is selected")).to_be_attached()
    page.keyboard.press(".")
    expect(page.get_by_text("1 moved")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("1 moved")).to_have_count(0)
    page.keyboard.press("Control+Shift+z")
    expect(page.get_by_text("1 moved")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved as version 2")).to_be_visible()

    expect(other.get_by_text("Operator Example saved new beats")).to_be_visible()
    expect(other.get_by_text("Manual override")).to_be_visible()
    expect(other.get_by_label("Version", exact=True)).to_have_value("2")
    (override,) = stage.call("GET", f"/tracks/{track_id}/history", params={"limit": 1})["items"]
    assert "beats" in json.dumps(override)


def test_half_and_double_keep_the_bars(stage: Stage, visit: Any) -> None:
    """Half the tempo keeps every other beat and each bar, double puts a beat between any two; undo takes both back."""
    page = visit("operator").open(f"/tracks/{stage.tracks['Night drive']}")
    summary = page.get_by_text(SUMMARY)

    def counts() -> list[int]:
        return [int(number) for number in re.findall(r"\d+", SUMMARY.findall(summary.inner_text())[0])]

    beats, bars = counts()
    page.keyboard.press("[")
    expect(summary).not_to_contain_text(f"{beats} beats")
    half = counts()
    assert half in ([beats // 2, bars], [(beats + 1) // 2, bars])
    page.keyboard.press("]")
    expect(summary).to_contain_text(f"{2 * half[0] - 1} beats in {bars} bars")
    for _ in range(2):
        page.keyboard.press("Control+z")
    expect(summary).to_contain_text(f"{beats} beats in {bars} bars")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


def test_unsaved_beats_survive_a_reload(stage: Stage, visit: Any) -> None:
    """So does the place in the song: which part of it is shown, and how tall."""
    track_id = stage.tracks["Blue hour"]
    page = visit("operator").open(f"/tracks/{track_id}/beats?q=hour")
    page.on("dialog", lambda dialog: dialog.accept())
    expect(page.get_by_text(SUMMARY)).to_be_attached()
    page.keyboard.press("ArrowRight")
    page.keyboard.press(".")
    expect(page.get_by_text("1 moved")).to_be_visible()
    for key in ("+", "+", "ArrowUp"):
        page.keyboard.press(key)
    # The place is kept when the page is left; after a second reload it is that of the first.
    places = []
    for _ in range(2):
        page.reload()
        expect(page.get_by_text("1 moved")).to_be_visible()
        places.append(json.loads(page.evaluate(f"sessionStorage.getItem('k1.place.{track_id}')")))
    before, after = places
    assert before["view"]["endMs"] - before["view"]["startMs"] < 8000
    assert page.url.endswith("/beats?q=hour")
    assert abs(after["view"]["startMs"] - before["view"]["startMs"]) < 1
    assert abs(after["view"]["endMs"] - before["view"]["endMs"]) < 1
    assert after["gain"] == before["gain"]
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_text("1 moved")).to_have_count(0)


def test_a_deleted_track_comes_back_by_undo(stage: Stage, visit: Any) -> None:
    """From the row's menu; the notice has the button for it."""
    visitor = visit("operator")
    page = visitor.open("/tracks")
    row = visitor.row("Paper moon")
    row.hover()
    row.get_by_role("button", name="Actions for Paper moon").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()
    assert stage.call("GET", f"/tracks/{stage.tracks['Paper moon']}")["track"]["status"] in {
        "ready",
        "warning",
    }
