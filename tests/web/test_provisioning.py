"""Devices added and revoked by an administrator in the browser."""

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Locator, expect

from tests.support.system import wait_for
from tests.web.conftest import Stage
from tests.web.devices import online, simulated

DEVICE: Final = "roof-left"


def test_a_device_is_added_and_revoked(stage: Stage, visit: Any, tmp_path: Path) -> None:
    """Its credential is shown once and lets a device connect; revoked, the device is out and its credential useless."""
    page = visit("admin").open("/devices")
    page.get_by_role("button", name="Add devices").click()
    page.get_by_label("Device ids").fill(DEVICE)
    page.get_by_role("dialog").get_by_label("Group").fill("roof")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog", name="1 device added")
    expect(dialog).to_contain_text("These are shown now and never again")
    secret = download_all(dialog, tmp_path)
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_have_count(0)
    page.goto(f"/devices/{DEVICE}")
    expect(page.get_by_role("heading", name=DEVICE)).to_be_visible()
    assert secret not in page.content()
    assert secret not in str(stage.call("GET", f"/devices/{DEVICE}"))

    with simulated(stage, "--credentials", str(tmp_path)):
        wait_for(lambda: DEVICE in online(stage), "the device has connected")
        row = page.get_by_role("list", name="Devices").get_by_role("listitem").filter(has_text=DEVICE)
        details = page.get_by_role("region", name="Device", exact=True)
        expect(details.get_by_text("Online", exact=True)).to_be_visible()
        page.get_by_role("button", name=f"Actions for {DEVICE}").click()
        page.get_by_role("menuitem", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(page.get_by_text(f"{DEVICE} is revoked")).to_be_visible()
        expect(row).to_have_count(0)
        wait_for(lambda: DEVICE not in online(stage), "the device is disconnected")


def download_all(dialog: Locator, folder: Path) -> str:
    """Save the files of the dialog, and return the secret of the credential."""
    for item in dialog.get_by_role("listitem").all():
        with dialog.page.expect_download() as download:
            item.get_by_role("button").click()
        download.value.save_as(folder / download.value.suggested_filename)
    return (folder / f"{DEVICE}.creds").read_text().split("NKEY SEED-----\n")[1].split("\n")[0]
