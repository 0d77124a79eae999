"""Shows in the browser: a deployment is seen as it happens, and nothing is missed while the gateway is away."""

from typing import Any

from playwright.sync_api import expect

from tests.support import songs
from tests.support.system import wait_for
from tests.web.conftest import DEVICES, Stage
from tests.web.devices import online


def test_a_show_is_deployed_and_seen_on_the_devices(stage: Stage, visit: Any) -> None:
    """By D, with the canary first; the page shows what the devices report they run."""
    wait_for(lambda: set(DEVICES) <= online(stage), "the devices are online")
    page = visit("operator").open(f"/tracks/{stage.tracks['Night drive']}")
    expect(page.get_by_role("heading", name="Night drive")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_be_visible()
    page.keyboard.press("d")
    sheet = page.get_by_role("dialog", name="Deploy Night drive")
    sheet.get_by_role("button", name="All compatible").click()
    sheet.get_by_label("Watch, s").fill("1")
    sheet.get_by_role("button", name=f"Deploy to {len(DEVICES)} devices").click()
    expect(sheet.get_by_text("Succeeded", exact=True)).to_be_visible(timeout=120_000)
    reports = (
        sheet.get_by_role("list", name="Devices").get_by_role("listitem").filter(has_text="Night drive v1")
    )
    expect(reports).to_have_count(len(DEVICES))
    sheet.get_by_role("button", name="Open its page").click()
    page.wait_for_url("**/deployments/*")
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()

    page.get_by_role("link", name="Devices").first.click()
    expect(page.get_by_role("list", name="Devices").get_by_text("Night drive").first).to_be_visible()


def test_a_viewer_cannot_deploy(stage: Stage, visit: Any) -> None:
    """There is no button, and the key does nothing."""
    page = visit("viewer").open(f"/tracks/{stage.tracks['Night drive']}")
    expect(page.get_by_role("heading", name="Night drive")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_have_count(0)
    page.keyboard.press("d")
    page.wait_for_timeout(300)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_page_outlives_the_gateway(stage: Stage, visit: Any) -> None:
    """It says that it reconnects, does so by itself, and then shows what changed meanwhile."""
    visitor = visit("viewer")
    # What the browser itself says of requests that nothing answers.
    visitor.excuse("ERR_CONNECTION", "WebSocket connection", "502", "503", "ERR_EMPTY", "ERR_INCOMPLETE")
    page = visitor.open("/tracks")
    expect(visitor.row("Paper moon")).to_be_visible()
    expect(page.get_by_role("status", name="Live")).to_be_visible()
    killed = stage.system.kill("gateway")
    expect(page.get_by_role("status", name="Reconnecting")).to_be_visible()
    stage.system.wait_for_restart("gateway", killed)
    stage.call(
        "POST",
        "/tracks/upload",
        files={"file": ("late.wav", songs.song(955))},
        data={"title": "Late arrival"},
    )
    expect(visitor.row("Late arrival")).to_be_visible()
    expect(page.get_by_role("status", name="Live")).to_be_visible()
