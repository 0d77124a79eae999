"""Graphs as versions, checks while editing, the comparison of two versions and the zoom with two fingers, in a browser."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.support import songs
from tests.web.browsers import PHONE, Visitor
from tests.web.conftest import Stage

COLOURS: Final = """
    canvas => {
        const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        [copy.canvas.width, copy.canvas.height] = [canvas.width, canvas.height];
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set();
        for (let at = 0; at < data.length; at += 4) found.add(data.slice(at, at + 3).join());
        return [...found];
    }
"""
"""Returns the colours of a canvas."""


@pytest.fixture(scope="module")
def track_id(stage: Stage) -> str:
    """A song of these tests only, since they add versions to it."""
    return stage.add_song("Glass harbour", songs.song(731))


def beat_canvas(page: Page) -> Any:
    """Return the canvas that waveform and beats are painted on, below the one that takes the pointer."""
    return page.get_by_label("Waveform with beats").locator("xpath=preceding-sibling::canvas")


def test_a_graph_becomes_a_version_before_the_eyes_of_others(
    visit: Callable[..., Visitor], stage: Stage, track_id: str
) -> None:
    """A fault is named with its fix while the graph is edited; a viewer sees the new version, and an edit of it, at once."""
    editor, viewer = visit("operator"), visit("viewer")
    for window in (editor, viewer):
        window.excuse("409 (Conflict)")  # between an edit and its simulation there is no bundle
    detail = stage.call("GET", f"/tracks/{track_id}")
    old = detail["track"]["current_version"]
    new = detail["versions"][0]["version"] + 1
    page = editor.open(f"/tracks/{track_id}/graph")
    watched = viewer.open(f"/tracks/{track_id}/graph")
    expect(watched.get_by_label("Version", exact=True)).to_have_value(str(old))
    document = stage.call("GET", f"/tracks/{track_id}/versions/{old}/graph")

    def edit(change: dict[str, Any]) -> None:
        page.get_by_role("button", name="Edit as JSON").click()
        page.get_by_label("graph.json").fill(json.dumps(document | change))
        page.get_by_role("button", name="Use it").click()

    faulty = [{**document["nodes"][0], "type": "Strobe"}, *document["nodes"][1:]]
    edit({"nodes": faulty})
    checks = page.get_by_role("region", name="Checks")
    expect(checks.get_by_role("alert")).to_contain_text("has the unknown type 'Strobe'")
    expect(checks).to_contain_text("Fix: Use one of:")
    edit({"name": "harbour_at_night"})
    expect(checks.get_by_role("alert")).to_have_count(0)
    editor.assert_accessible()
    page.get_by_role("button", name="Save as new version").click()
    for window in (page, watched):
        expect(window.get_by_label("Version", exact=True)).to_have_value(str(new))
    assert stage.call("GET", f"/tracks/{track_id}/versions/{new}/graph")["name"] == "harbour_at_night"
    assert stage.call("GET", f"/tracks/{track_id}/versions/{old}/graph") == document
    expect(watched.get_by_text(f"Operator Example saved another graph as version {new}.")).to_be_visible()

    expect(page.get_by_text("Not saved")).to_have_count(0)
    edit({"name": "harbour_at_dawn", "nodes": document["nodes"]})
    page.get_by_role("button", name="Save and build").click()
    expect(watched.get_by_text("Operator Example saved this graph. You see it now.")).to_be_visible()


@pytest.fixture
def overridden(stage: Stage, track_id: str) -> Iterator[int]:
    """Return a version whose beats differ from those of the analysis: one moved, one added, one removed."""
    url = f"/tracks/{track_id}/versions/1/beat-override"
    beats = stage.call("GET", url)["beats_ms"]
    changed = sorted([beats[0], beats[1] + 40, (beats[2] + beats[3]) / 2, *beats[2:5], *beats[6:]])
    yield stage.call("POST", url, json={"beats_ms": changed})["version"]
    stage.call("DELETE", url)


def test_two_versions_are_compared_on_the_canvas(
    visit: Callable[..., Visitor], track_id: str, overridden: int
) -> None:
    """The differences are counted in a legend and painted in its colours, also for people who want less motion."""
    viewer = visit("viewer")
    page = viewer.open(f"/tracks/{track_id}/beats?v={overridden}")
    canvas = beat_canvas(page)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="v1 Analysis").click()
    legend = page.get_by_role("status", name="How the beats differ from v1")
    for text in ("1 moved", "1 only here", "1 only there"):
        expect(legend).to_contain_text(text)
    expect(page.get_by_label("Colours of the sections").get_by_role("listitem")).not_to_have_count(0)
    tones = page.evaluate("['ok', 'danger', 'warn'].map((name) => {"
        "const probe = document.createElement('i'); probe.style.color = `var(--k1-${name})`; document.body.append(probe);"
        "return getComputedStyle(probe).color.match(/[0-9]+/g).join(); })")  # fmt: skip
    page.wait_for_function(
        f"([canvas, tones]) => tones.every((tone) => ({COLOURS})(canvas).includes(tone))",
        arg=[canvas.element_handle(), tones],
    )
    viewer.assert_accessible()
    page.reload()
    expect(legend).to_be_visible()
    page.get_by_role("button", name="End the comparison").click()
    expect(legend).to_have_count(0)


def test_two_fingers_zoom_at_the_place_between_them(visit: Callable[..., Visitor], track_id: str) -> None:
    """Fingers that spread to twice their distance show half the time, and what is between them stays there."""
    page = visit("viewer", size=PHONE, has_touch=True).open(f"/tracks/{track_id}/beats?v=1")
    canvas = page.get_by_label("Waveform with beats")
    canvas.scroll_into_view_if_needed()
    before = kept_view(page, track_id)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    touch(page, box, (0.4, 0.6), (0.3, 0.7))
    after = kept_view(page, track_id)
    assert after["endMs"] - after["startMs"] == pytest.approx(
        (before["endMs"] - before["startMs"]) / 2, rel=0.05
    )
    middle = (before["startMs"] + before["endMs"]) / 2
    assert (after["startMs"] + after["endMs"]) / 2 == pytest.approx(middle, rel=0.05)


def touch(page: Page, box: Any, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Put two fingers down at shares of the width, move them, and lift them."""
    session = page.context.new_cdp_session(page)
    y = box["y"] + 60

    def send(kind: str, shares: tuple[float, ...]) -> None:
        points = [{"x": box["x"] + share * box["width"], "y": y, "id": n} for n, share in enumerate(shares)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", begin[:1])
    send("touchStart", begin)
    send("touchMove", ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2))
    send("touchMove", end)
    send("touchEnd", ())


def kept_view(page: Page, track_id: str) -> dict[str, float]:
    """Return the visible part of the song, which the page keeps when it is left."""
    page.reload()
    expect(page.get_by_label("Waveform with beats")).to_be_visible()
    kept = page.evaluate("(key) => sessionStorage.getItem(key)", f"k1.place.{track_id}")
    return json.loads(kept)["view"]
