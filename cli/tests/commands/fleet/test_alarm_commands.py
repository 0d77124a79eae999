"""`k1 alarms` and `k1 fleet` against a stub of the gateway."""

import json
from typing import Any

from cli.tests.command_runner import run_k1
from cli.tests.stub_gateway import StubGateway

ALARM: dict[str, Any] = {
    "id": "alm_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "device_id": "k1-a",
    "kind": "drift",
    "level": "alert",
    "state": "open",
    "raised": True,
    "flapping": True,
    "openings": 6,
    "reason": "drift_ms > 50",
    "since": "2026-03-01T12:00:00.000Z",
    "opened_at": "2026-03-01T12:00:00.000Z",
    "changed_at": "2026-03-01T12:00:00.000Z",
}
ACKNOWLEDGED = {**ALARM, "state": "acknowledged", "acknowledged_by": "Ada", "note": "on my way"}
FLEET = {
    "devices": 12,
    "active_devices": 2,
    "by_firmware": [{"firmware": "2.1.0", "devices": 2}],
    "by_bundle": [{"devices": 2}],
    "deployments_running": 1,
    "worst_drift_ms": -41.5,
    "worst_drift_device_id": "k1-a",
    "open_alarms": 1,
    "acknowledged_alarms": 0,
    "at": "2026-03-01T12:00:00.000Z",
}


def test_alarms_that_are_not_cleared_are_listed(gateway: StubGateway, home: str, capfd: Any) -> None:
    """One that flaps says so; a state that there is not is refused."""
    gateway.on("GET /alarms", (200, {"total": 1, "items": [ALARM]}))
    done = run_k1(capfd, "alarms", "--device", "k1-a", "--json", "--home", home)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["items"]) == 2  # the stub has one of each state
    assert [each.query for each in gateway.requests] == [
        {"state": ["open"], "device_id": ["k1-a"], "limit": ["50"]},
        {"state": ["acknowledged"], "device_id": ["k1-a"], "limit": ["50"]},
    ]
    shown = run_k1(capfd, "alarms", "--state", "open", "--home", home)
    assert "drift alert" in shown.stdout
    assert "flaps (6 times)" in shown.stdout
    wrong = run_k1(capfd, "alarms", "--state", "loud", "--home", home)
    assert wrong.returncode == 2


def test_an_alarm_is_acknowledged_by_the_end_of_its_id(gateway: StubGateway, home: str, capfd: Any) -> None:
    """The note is sent, and the answer names the person."""
    gateway.on("GET /alarms", (200, {"total": 1, "items": [ALARM]}))
    gateway.on(f"POST /alarms/{ALARM['id']}/acknowledge", (200, ACKNOWLEDGED))
    done = run_k1(capfd, "alarms", "ack", "7B9CD", "--note", "on my way", "--home", home)
    assert (done.returncode, done.stdout.strip()) == (0, "k1-a, drift alert: acknowledged by Ada")
    assert json.loads(gateway.requests[-1].body) == {"note": "on my way"}
    missing = run_k1(capfd, "alarms", "ack", "XXXX", "--home", home)
    assert missing.returncode == 1
    assert "no open alarm with an id that ends with XXXX" in missing.stderr


def test_the_figures_of_the_fleet_are_shown(gateway: StubGateway, home: str, capfd: Any) -> None:
    """Each in words."""
    gateway.on("GET /fleet", (200, FLEET))
    done = run_k1(capfd, "fleet", "--home", home)
    assert done.stdout.splitlines() == [
        "2 of 12 devices active",
        "  firmware 2.1.0: 2",
        "  idle show: 2",
        "1 open alarm, 0 acknowledged",
        "1 deployment running",
        "worst drift -41.5 ms on k1-a",
    ]
