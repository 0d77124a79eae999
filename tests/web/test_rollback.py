"""A deployment that fails, in the browser: one device drifts, all go back, and the page says why."""

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import expect

from tests.support.system import wait_for
from tests.web.conftest import DEVICES, Stage
from tests.web.devices import online, simulated

DRIFTER: Final = "k1-drifter-0001"


def test_a_drifting_device_brings_all_back(stage: Stage, visit: Any, tmp_path: Path) -> None:
    """The canary passes and a device of the next batch drifts; the page shows what each device reports to run."""
    faults = tmp_path / "faults.yaml"
    # Once it plays, its clock runs away.
    faults.write_text(f"faults:\n  - {{devices: {DRIFTER}, fault: drift_ramp, ms_per_s: 500}}\n")
    with simulated(stage, "--devices", "1", "--prefix", "k1-drifter", "--faults", str(faults)):
        wait_for(lambda: {DRIFTER, DEVICES[0]} <= online(stage), "the devices are online")
        page = visit("operator").open(f"/tracks/{stage.tracks['Copper rain']}")
        page.get_by_role("button", name="Deploy", exact=True).click()
        sheet = page.get_by_role("dialog", name="Deploy Copper rain")
        for device in (DEVICES[0], DRIFTER):
            sheet.get_by_label(f"Deploy to {device}").check()
        sheet.get_by_label("Watch, s").fill("9")
        sheet.get_by_role("button", name="Deploy to 2 devices").click()
        devices = sheet.get_by_role("list", name="Devices").get_by_role("listitem")
        expect(devices.filter(has_text="Rolled back")).to_have_count(2, timeout=120_000)
        expect(devices.filter(has_text=DRIFTER)).to_contain_text("drift above 100 ms")
        expect(devices.filter(has_text="This bundle")).to_have_count(0)
        for control in ("Pause", "Resume", "Cancel", "Roll back"):
            button = sheet.get_by_role("button", name=control, exact=True)
            expect(button).to_have_attribute("aria-disabled", "true")
        page.goto("/activity")
        expect(page.get_by_text("automatic roll-back executed").first).to_be_visible()
