"""Stored telemetry in the browser: the history of a device, and where devices lose the beat of a song."""

import json
from typing import Any

from playwright.sync_api import Route, expect

from tests.support.system import wait_for
from tests.web.browsers import PHONE
from tests.web.conftest import DEVICES, Stage
from tests.web.devices import deploy

SONG = "Paper moon"
"""Which no other test deploys."""


def play(stage: Stage, track_id: str) -> None:
    """Deploy a song to all devices, and wait until readings of it are stored."""
    deploy(stage, track_id, DEVICES)
    wait_for(
        lambda: stage.call("GET", f"/tracks/{track_id}/drift")["counts"]["joined"] > 60,
        "readings are stored",
    )


def test_telemetry_is_shown_where_it_matters(stage: Stage, visit: Any) -> None:
    """A device has charts of its stored readings; a song says where devices lose the beat and leads to these beats."""
    track_id = stage.tracks[SONG]
    play(stage, track_id)
    visitor = visit("operator")
    page = visitor.open(f"/devices/{DEVICES[0]}")
    history = page.get_by_role("region", name="History")
    expect(history.get_by_role("img", name="Drift")).to_be_visible()
    expect(history.get_by_text("a point. The line is the average")).to_be_visible()
    history.get_by_role("radio", name="24 h").click()
    expect(history.get_by_text("a point. The line is the average")).to_be_visible()
    expect(history.get_by_role("img")).to_have_count(6)
    visitor.assert_accessible()
    visitor.assert_fits()

    page.goto(f"/tracks/{track_id}/drift?v=1")
    expect(page.get_by_text(f"of {len(DEVICES)} devices in {len(DEVICES)} plays.")).to_be_visible()
    expect(page.get_by_text("No place stands out")).to_be_visible()
    expect(
        page.get_by_role("group", name="Drift by section").get_by_text(f"0 of {len(DEVICES)}").first
    ).to_be_visible()
    visitor.assert_accessible()

    def add_suggestion(route: Route) -> None:
        drift = json.loads(route.fetch().text())
        place = {"section": 0, "from_ms": 3000, "to_ms": 5000, "first_beat": 6, "last_beat": 9}
        drift["suggestions"] = [
            {"action": "beat_edit", "reason": "3 of 3 devices are off the beat here.", **place}
        ]
        route.fulfill(json=drift)

    page.route("**/drift?version=1", add_suggestion)
    page.reload()
    advice = page.get_by_role("list", name="What to do")
    expect(advice.get_by_text("Check the beats, 0:03 to 0:05.")).to_be_visible()
    visitor.assert_accessible()
    page.set_viewport_size(PHONE)
    visitor.assert_fits()
    page.set_viewport_size({"width": 1440, "height": 900})
    advice.get_by_role("button", name="Show these beats").click()
    page.wait_for_url(f"**/tracks/{track_id}/beats*")
    expect(page.get_by_text("0:03.0").first).to_be_visible()
