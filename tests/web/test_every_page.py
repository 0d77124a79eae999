"""Every page: for assistive technology, at three widths, in both themes, and by its address alone."""

from typing import Any

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.web.browsers import DESKTOP, PHONE, TABLET
from tests.web.conftest import Stage

PUBLIC = ("/sign-in", "/register", "/reset", "/reset?token=x", "/verify", "/accept?token=x")
PAGES = (
    "/tracks",
    "/tracks/TRACK",
    "/devices",
    "/deployments",
    "/activity",
    "/profile",
    "/profile/security",
    "/profile/keys",
    "/users",
    "/nowhere",
)


@pytest.mark.parametrize(
    ("theme", "size"), [("dark", DESKTOP), ("light", PHONE)], ids=["dark desktop", "light phone"]
)
def test_every_page_is_accessible_and_fits(stage: Stage, visit: Any, theme: str, size: ViewportSize) -> None:
    """Axe finds nothing, nothing is wider than the window, and the navigation is there; on tablets too."""
    for role, paths in ((None, PUBLIC), ("operator", PAGES)):
        visitor = visit(role, size=size, has_touch=size is PHONE)
        visitor.excuse("401")
        visitor.context.add_init_script(f"localStorage.setItem('k1.theme', '{theme}')")
        for path in paths:
            page = visitor.open(path.replace("TRACK", stage.tracks["Blue hour"]))
            settle(page)
            visitor.assert_accessible()
            visitor.assert_fits()
            if role is not None:
                assert_navigation(page)
            if role is not None and size is DESKTOP:
                # Between the two other widths the frame is another.
                page.set_viewport_size(TABLET)
                visitor.assert_fits()
                assert_navigation(page)
                page.set_viewport_size(size)


def assert_navigation(page: Any) -> None:
    for name in ("Library", "Devices", "Activity"):
        expect(page.get_by_role("navigation", name="Main").get_by_role("link", name=name)).to_be_visible()


def test_a_phone_shows_the_tracks_or_the_details(stage: Stage, visit: Any) -> None:
    """A tap on a track leads to it, and the tabs lead back."""
    page = visit("operator", size=PHONE, has_touch=True).open("/tracks")
    page.get_by_role("row").filter(has_text="Blue hour").tap()
    expect(page.get_by_role("heading", name="Blue hour")).to_be_visible()
    expect(page.get_by_role("grid", name="Tracks")).to_be_hidden()
    page.get_by_role("link", name="Tracks").tap()
    expect(page.get_by_role("grid", name="Tracks")).to_be_visible()


def test_the_shortcuts_are_listed_and_can_be_switched_off(stage: Stage, visit: Any) -> None:
    """`?` shows them, never in a field; switched off, no key does anything."""
    page = visit("operator").open("/tracks")
    search = page.get_by_label("Search title, artist and tags")
    search.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert search.input_value() == "?"
    search.fill("")
    search.blur()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.get_by_role("switch", name="Use keyboard shortcuts").click()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("?")
    page.keyboard.press("l")
    page.wait_for_timeout(300)
    expect(dialog).to_have_count(0)
    assert page.url.endswith("/tracks")


def test_the_palette_finds_a_track(stage: Stage, visit: Any) -> None:
    """By a few letters, without the mouse."""
    page = visit("operator").open("/activity")
    settle(page)
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Track, page or command").fill("copper")
    expect(page.get_by_role("option", name="Copper rain")).to_be_visible()
    expect(page.get_by_role("option", name="Blue hour")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Copper rain")).to_be_visible()


def settle(page: Any) -> None:
    """Wait until nothing of the page is on its way."""
    page.wait_for_load_state("load")
    expect(page.get_by_text("Starting", exact=True)).to_have_count(0)
    expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
    page.wait_for_timeout(150)
