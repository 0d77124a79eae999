"""The files of a version in the browser: links, deleting and restoring; and how full the store is."""

import hashlib
import re
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.web.conftest import Stage


def test_an_artefact_is_linked_deleted_and_restored(stage: Stage, visit: Any) -> None:
    """A copied link works for everyone, until the file is deleted; it comes back by undo, and later by Restore."""
    track_id = stage.tracks["Paper moon"]
    version = stage.call("GET", f"/tracks/{track_id}")["track"]["current_version"]
    listed = f"/tracks/{track_id}/versions/{version}/artefacts"
    file = next(each for each in stage.call("GET", listed)["artefacts"] if each["type"] == "speedscope")
    name = file["name"]

    visitor = visit("operator")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open(f"/tracks/{track_id}/artefacts")
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Present")
    page.get_by_role("button", name=f"Copy a link to {name}").click()
    expect(page.get_by_text("A link was copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    answer = httpx.get(link, follow_redirects=True, timeout=30)
    assert (answer.status_code, hashlib.sha256(answer.content).hexdigest()) == (200, file["sha256"])

    page.get_by_role("button", name=f"Delete {name}").click()
    expect(row).to_contain_text("Deleted")
    assert httpx.get(link, timeout=30).status_code == 410
    page.get_by_role("button", name="Undo", exact=True).last.click()
    expect(row).to_contain_text("Present")
    page.get_by_role("button", name=f"Delete {name}").click()
    row.get_by_role("button", name="Restore").click()
    expect(row).to_contain_text("Present")
    (restored,) = (each for each in stage.call("GET", listed)["artefacts"] if each["name"] == name)
    assert (restored["status"], restored["sha256"]) == ("present", file["sha256"])


def test_a_store_that_fills_up_warns(stage: Stage, visit: Any) -> None:
    """Administrators see what is used, a warning from 80 % on, and the three largest files; others see none of it."""
    address = f"/tracks/{stage.tracks['Paper moon']}/artefacts"
    page = visit("admin").open(address)
    storage = page.get_by_role("region", name="Storage")
    expect(storage.get_by_role("alert")).to_have_text(re.compile(r"^\d+% of the store is used"))
    shown = int(storage.get_by_role("meter").get_attribute("aria-valuenow") or 0)
    usage = stage.call("GET", "/storage/usage")
    assert shown >= 80
    assert usage["used_ratio"] >= 0.8
    expect(storage.get_by_role("listitem")).to_have_count(3)

    page = visit("operator").open(address)
    expect(page.get_by_role("row").filter(has_text="genesis").first).to_be_visible()
    expect(page.get_by_role("region", name="Storage")).to_have_count(0)
