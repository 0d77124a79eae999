"""Alarms and the figures of the fleet in the browser: they come by themselves, and an operator acknowledges one."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.support.system import wait_for
from tests.web.browsers import DESKTOP, PHONE
from tests.web.conftest import Stage
from tests.web.test_every_page import settle

DEVICE: Final = "k1-quiet-0001"
NOTE: Final = "the router is being replaced"


def test_an_alarm_comes_is_acknowledged_and_is_cleared(stage: Stage, visit: Any) -> None:
    """A device falls silent and comes back: count, rows and figures follow without a reload."""
    page = visit("operator").open("/fleet")
    before = stage.call("GET", "/fleet")["active_devices"]
    active = page.get_by_role("definition").first
    expect(active).to_have_text(re.compile(f"^{before}of"))
    with simulated_device(stage) as process:
        expect(active).to_have_text(re.compile(f"^{before + 1}of"))
        process.kill()  # it says no bye
        count = page.get_by_role("link", name=re.compile(r"^\d+ open alarm"))
        expect(count).to_be_visible()
    expect(active).to_have_text(re.compile(f"^{before}of"))
    count.click()
    row = page.get_by_role("row").filter(has_text=DEVICE)
    expect(row).to_contain_text("Silence")
    row.get_by_role("button", name=f"Acknowledge the alarm of {DEVICE}").click()
    page.get_by_role("dialog").get_by_label("Note").fill(NOTE)
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Acknowledged", exact=True).click()
    expect(row).to_contain_text(f"by Operator Example: {NOTE}")
    with simulated_device(stage):
        expect(row).to_have_count(0)
        page.get_by_role("button", name="Cleared", exact=True).click()
        expect(row).to_contain_text(NOTE)


@pytest.mark.parametrize(
    ("theme", "size"), [("dark", DESKTOP), ("light", PHONE)], ids=["dark desktop", "light phone"]
)
def test_the_pages_are_accessible_and_fit(stage: Stage, visit: Any, theme: str, size: ViewportSize) -> None:
    """Axe finds nothing, and nothing is wider than the window; a viewer has no button to acknowledge."""
    visitor = visit("viewer", size=size, has_touch=size is PHONE)
    visitor.context.add_init_script(f"localStorage.setItem('k1.theme', '{theme}')")
    for path in ("/fleet", "/alarms", "/alarms?state=cleared"):
        page = visitor.open(path)
        settle(page)
        visitor.assert_accessible()
        visitor.assert_fits()
    expect(page.get_by_role("button", name="Acknowledge the alarm")).to_have_count(0)


@contextmanager
def simulated_device(stage: Stage) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a device until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("K1_")}
    arguments = ("--devices", "1", "--prefix", "k1-quiet", "--home", str(stage.system.home))
    command = [sys.executable, "-m", "k1_cli", "sim", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _is_online(stage), f"{DEVICE} is online")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _is_online(stage: Stage) -> bool:
    devices = {device["id"]: device for device in stage.call("GET", "/devices")["items"]}
    return DEVICE in devices and devices[DEVICE]["online"]
