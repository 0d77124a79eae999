"""Every page: for assistive technology, at three widths, in both themes, and by its address alone."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.web.browsers import DESKTOP, PHONE, TABLET
from tests.web.conftest import DEVICES, Stage
from tests.web.devices import deploy

ROUTES: Final = Path(__file__).parents[2] / "webapp/src/app/routes.tsx"
PUBLIC: Final = {"/reset": "?token=x", "/accept": "?token=x"}
"""What else belongs to the address of a page for everyone."""
SECTIONS: Final = ("security", "keys")
"""Of the profile, besides the first."""
TABS: Final = ROUTES.parents[1] / "track/tabs.ts"
CONTENTS: Final[dict[str, Callable[[Locator], Locator]]] = {
    "beats": lambda panel: panel.get_by_role("img", name="Waveform with beats"),
    "charts": lambda panel: panel.get_by_role("region", name="Bands").get_by_text("on average"),
    "drift": lambda panel: panel.get_by_role("heading", name="Drift against the map"),
    "graph": lambda panel: panel.get_by_role("region", name="Cost by node").get_by_text("µs"),
    "artefacts": lambda panel: panel.get_by_role("row").filter(has_text="track.genesis.json"),
    "notes": lambda panel: panel.get_by_label("Notes (Markdown)"),
    "history": lambda panel: panel.get_by_role("listitem").filter(has_text="Uploaded"),
    "similar": lambda panel: panel.get_by_role("list", name="Similar").get_by_role("listitem"),
}
"""Something that the panel of each tab shows, once it has its data."""


def public_pages() -> Iterator[str]:
    """Yield the addresses of the pages for everyone."""
    for pattern in patterns("PUBLIC_ROUTES"):
        yield pattern
        if pattern in PUBLIC:
            yield pattern + PUBLIC[pattern]


def pages(stage: Stage) -> Iterator[str]:
    """Yield the addresses of the pages inside the frame: each route with and without its id, and one that is none."""
    deployments = stage.call("GET", "/deployments", params={"limit": 1})["items"]
    track = stage.tracks["Blue hour"]
    ids = {
        "trackId": [track],
        "deviceId": DEVICES[:1],
        "deploymentId": [deployments[0]["id"] if deployments else deploy(stage, track, DEVICES[:1])],
        "section": SECTIONS,
    }
    for pattern in patterns("ROUTES"):
        plain, *fields = re.split(r"/:(\w+)\??", pattern)
        if plain == "/":
            continue  # the library, which has an address of its own
        yield plain
        # What follows an id names a tab; tabs are opened on the page.
        yield from (f"{plain}/{value}" for value in (ids[fields[0]] if fields else ()))
    yield "/nowhere"


def patterns(table: str) -> list[str]:
    """Return the patterns of a table of the page's routes."""
    found = re.search(rf"const {table}: .*? = \[\n(.*?)\n\];", ROUTES.read_text(), re.DOTALL)
    assert found, f"{ROUTES} has no table {table}"
    return re.findall(r'^  route\("([^"]+)"', found[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("theme", "size"), [("dark", DESKTOP), ("light", PHONE)], ids=["dark desktop", "light phone"]
)
def test_every_page_is_accessible_and_fits(stage: Stage, visit: Any, theme: str, size: ViewportSize) -> None:
    """Axe finds nothing, nothing is wider than the window, and the navigation is there; on tablets too."""
    for role, paths in ((None, public_pages()), ("admin", pages(stage))):
        visitor = visit(role, size=size, has_touch=size is PHONE)
        visitor.excuse("401")
        visitor.context.add_init_script(f"localStorage.setItem('k1.theme', '{theme}')")
        for path in paths:
            page = visitor.open(path)
            settle(page)
            visitor.assert_accessible()
            visitor.assert_fits()
            if role is None:
                continue
            assert_navigation(page)
            for tab in tabs_of_track(page):
                tab.click()
                settle(page)
                visitor.assert_accessible("[role=tabpanel]:not([hidden])")
                visitor.assert_fits()
            if size is DESKTOP:
                # Between the two other widths the frame is another.
                page.set_viewport_size(TABLET)
                visitor.assert_fits()
                assert_navigation(page)
                page.set_viewport_size(size)


def test_a_part_of_a_track_opens_by_its_address(stage: Stage, visit: Any) -> None:
    """Each tab has an address that opens it with its content, also after a reload; the tab in the address is selected."""
    listed = re.search(r"TAB_IDS = \[(.*?)\]", TABS.read_text())
    assert listed
    assert set(re.findall(r'"(\w+)"', listed[1])) == set(CONTENTS)
    page: Page = visit("operator").page
    for tab, find in CONTENTS.items():
        page.goto(f"/tracks/{stage.tracks['Night drive']}/{tab}")
        for _ in range(2):
            expect(page.get_by_role("tab", selected=True)).to_have_text(tab.capitalize())
            expect(find(page.get_by_role("tabpanel")).first).to_be_visible()
            page.reload()


def tabs_of_track(page: Page) -> list[Any]:
    """Return the tabs of a track's page but the first, which is open; none on other pages."""
    return page.get_by_role("tablist", name="Parts of the track").get_by_role("tab").all()[1:]


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
