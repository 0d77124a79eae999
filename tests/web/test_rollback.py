"""A deployment that fails, in the browser: one device drifts, all go back, and the page says why."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import expect

from tests.support.system import wait_for
from tests.web.conftest import DEVICES, Stage

DRIFTER: Final = "k1-drifter-0001"


def test_a_drifting_device_brings_all_back(stage: Stage, visit: Any, tmp_path: Path) -> None:
    """The canary passes and a device of the next batch drifts; the page shows what each device reports to run."""
    with drifting_device(stage, tmp_path):
        wait_for(lambda: {DRIFTER, DEVICES[0]} <= online(stage), "the devices are online")
        page = visit("operator").open(f"/tracks/{stage.tracks['Copper rain']}")
        page.get_by_role("button", name="Deploy", exact=True).click()
        sheet = page.get_by_role("dialog", name="Deploy Copper rain")
        for device in (DEVICES[0], DRIFTER):
            sheet.get_by_label(f"Deploy to {device}").check()
        sheet.get_by_label("Watch, s").fill("15")
        sheet.get_by_role("button", name="Deploy to 2 devices").click()
        devices = sheet.get_by_role("list", name="Devices").get_by_role("listitem")
        expect(devices.filter(has_text="Rolled back")).to_have_count(2, timeout=120_000)
        expect(devices.filter(has_text=DRIFTER)).to_contain_text("drift_ms")
        expect(devices.filter(has_text="This bundle")).to_have_count(0)
        for control in ("Pause", "Resume", "Cancel", "Roll back"):
            button = sheet.get_by_role("button", name=control, exact=True)
            expect(button).to_have_attribute("aria-disabled", "true")
        page.goto("/activity")
        expect(page.get_by_text("automatic roll-back executed").first).to_be_visible()


@contextmanager
def drifting_device(stage: Stage, folder: Path) -> Iterator[None]:
    """Run a device whose clock runs away once it plays."""
    faults = folder / "faults.yaml"
    faults.write_text(f"faults:\n  - {{devices: {DRIFTER}, fault: drift_ramp, ms_per_s: 60}}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("K1_")}
    arguments = (
        "--devices",
        "1",
        "--prefix",
        "k1-drifter",
        "--faults",
        str(faults),
        "--home",
        str(stage.system.home),
    )
    command = [sys.executable, "-m", "k1_cli", "sim", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def online(stage: Stage) -> set[str]:
    """Return the devices that can be deployed to: online, and known by their hello."""
    items = stage.call("GET", "/devices")["items"]
    return {device["id"] for device in items if device["online"] and device.get("firmware")}
