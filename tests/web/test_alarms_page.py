"""Alarms and the figures of the fleet in the browser: they come by themselves, and an operator acknowledges one."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import expect

from tests.support.system import wait_for
from tests.web.browsers import PHONE
from tests.web.conftest import Stage
from tests.web.devices import online, simulated

DEVICE: Final = "k1-quiet-0001"
NOTE: Final = "the router is being replaced"


def test_an_alarm_comes_is_acknowledged_and_is_cleared(stage: Stage, visit: Any) -> None:
    """A device falls silent and comes back: count, rows and figures follow without a reload; axe finds nothing."""
    visitor = visit("operator")
    page = visitor.open("/fleet")
    before = stage.call("GET", "/fleet")["active_devices"]
    active = page.get_by_role("definition").first
    expect(active).to_have_text(re.compile(f"^{before}of"))
    with one_device(stage) as process:
        expect(active).to_have_text(re.compile(f"^{before + 1}of"))
        process.kill()  # it says no bye
        count = page.get_by_role("link", name=re.compile(r"^\d+ open alarm"))
        expect(count).to_be_visible()
    expect(active).to_have_text(re.compile(f"^{before}of"))
    count.click()
    row = page.get_by_role("row").filter(has_text=DEVICE)
    expect(row).to_contain_text("Silence")
    expect(row).to_contain_text("Silent for 5 s")
    row.get_by_role("button", name=f"Acknowledge the alarm of {DEVICE}").click()
    page.get_by_role("dialog").get_by_label("Note").fill(NOTE)
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Acknowledged", exact=True).click()
    expect(row).to_contain_text(f"by Operator Example: {NOTE}")
    visitor.assert_accessible()
    page.set_viewport_size(PHONE)
    visitor.assert_fits()
    with one_device(stage):
        expect(row).to_have_count(0)
        page.get_by_role("button", name="Cleared", exact=True).click()
        expect(row).to_contain_text(NOTE)


@contextmanager
def one_device(stage: Stage) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a device until the end of the block, which begins once it is online."""
    with simulated(stage, "--devices", "1", "--prefix", "k1-quiet") as process:
        wait_for(lambda: DEVICE in online(stage), f"{DEVICE} is online")
        yield process
