"""Every table of the command line fits 80 columns with the longest possible values."""

import pytest
from rich.cells import cell_len

from cli.tests.command_runner import run_k1
from cli.tests.deployment_samples import DEPLOYMENT, TRACK, at, rollback, step
from cli.tests.stub_gateway import StubGateway
from cli.tests.terminal import make_terminal, print_to_terminal
from k1_cli.deployments.live_view import LiveView
from k1_cli.deployments.rendering import render
from k1_cli.output.table import short_ids
from k1_cli.simulator.fleet_view import FleetView
from k1_cli.stack.status import ConsumerStatus, ServerStatus, ServiceStatus, SimulatedStatus, StackStatus
from k1_cli.stack.status_table import status_tables
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_contracts.messages.deploy.devices import DeviceServers
from k1_simulator.device import DeviceState

LONG = "W" * 40
WHEN = "2026-05-01T20:15:30.000Z"


def fits(text: str) -> bool:
    return max(map(cell_len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "command", ["songs.songs tracks", "fleet.deployments deployments list", "fleet.devices devices list"]
)
def test_what_is_listed_fits(
    command: str,
    gateway: StubGateway,
    home: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each item is one row on one line, and no two rows look the same."""
    tracks = [
        {
            "id": f"{TRACK[:16]}{end}{TRACK[17:]}", "title": f"{LONG} {end}", "artist": LONG, "duration_ms": 1_200_000,
            "bpm": 174.03, "status": "processing", "preset": "edm_high_energy",
        }
        for end in "AB"
    ]  # fmt: skip
    summary = rollback().model_dump(mode="json", exclude_none=True)
    summary |= {"status": "rollback_pending", "paused": True, "reason": "why " * 60}
    devices = [
        {
            "id": f"{LONG[:-1]}{end}", "transport": "nats", "online": False, "group": LONG, "firmware": LONG,
            "added_at": WHEN, "running": {"bundle_sha256": "a" * 64, "track_id": TRACK, "version": 1000},
            "alarms": [{"code": "drift", "message": "drift " * 40}],
        }
        for end in "AB"
    ]  # fmt: skip
    gateway.on("GET /tracks", (200, {"total": 2, "items": tracks}))
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": {"title": LONG}}))
    gateway.on("GET /deployments", (200, {"total": 1, "items": [summary]}))
    gateway.on("GET /devices", (200, {"total": 2, "items": devices}))
    module, *arguments = command.split()
    console = make_terminal()
    monkeypatch.setattr(f"k1_cli.commands.{module}.results", console)
    with console.capture() as captured:
        assert run_k1(capfd, *arguments, "--home", home).returncode == 0
    assert fits(captured.get())
    lines = captured.get().splitlines()
    assert len(set(lines)) >= 3
    starts = [line.split()[0] for line in lines[1:-1] if not line.startswith(" ")]
    assert len(set(starts)) == len(starts)


def test_the_live_view_fits() -> None:
    """The id, the transfer and the outcome are as long as possible."""
    device = rollback().devices[0].model_copy(
        update={
            "device_id": LONG, "outcome": "rollback_pending", "percent": 100.0, "reason": "why " * 60,
            "steps": [step("stage", 0, None, "running", attempt=2)],
        }
    )  # fmt: skip
    live = LiveView(rollback().model_copy(update={"devices": [device], "waits_for": [DEPLOYMENT]}), LONG * 3)
    text = print_to_terminal(render(live, at(5)))
    assert fits(text)
    assert any("100 % 2." in line and "rollback pending" in line for line in text.splitlines())


def test_the_status_and_the_simulated_devices_fit() -> None:
    status = StackStatus(
        (ServerStatus("postgres", 4_194_304, 65535, True),),
        (ServiceStatus("telemetry", 4_194_304, 65535, False, "10.10.10"),),
        (SimulatedStatus(4_194_304, 1000, True),),
        DeviceServers(),
        (ConsumerStatus(LONG, LONG * 2, 1_000_000_000, 1_000_000),),
        None,
    )
    assert fits(print_to_terminal(*status_tables("http://127.0.0.1:65535", status)))
    bundle = RunningBundle(bundle_sha256="a" * 64, track_id=TRACK, version=1000)
    state = DeviceState(LONG, True, bundle, ("b" * 64, "c" * 64), 7, None, 42_000, None)
    assert fits(print_to_terminal(FleetView().draw({LONG: state})))


def test_short_ids_differ() -> None:
    """They are as long as needed to distinguish them."""
    assert short_ids([TRACK]) == {TRACK: TRACK[:18]}
    pair = [f"{TRACK[:-1]}A", f"{TRACK[:-1]}B", TRACK[:5] + "Z" * 25]
    assert set(short_ids(pair).values()) == {pair[0], pair[1], pair[2]}
