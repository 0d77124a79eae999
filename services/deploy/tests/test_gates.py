"""The gates before a deployment."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.deploy.deployment_queries import Check
from k1_contracts.messages.deploy.deployments import OVERRIDABLE, Gate, GateOverride
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.gates import (
    SPACE_MARGIN_BYTES,
    blocking_reason,
    compatibility,
    device_checks,
    passed,
    show_checks,
)
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.scripted_device import bundle, hello

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


def row(**changes: Any) -> DeviceRow:
    return DeviceRow(
        **{"id": "a", "transport": "nats", "group": None, "added_at": NOW, "hello": hello("a"), **changes}
    )


def override(gate: Gate, device_id: str | None = None) -> GateOverride:
    return GateOverride(gate=gate, device_id=device_id, reason="seen and accepted by hand")


def failed(checks: list[Check]) -> list[Gate]:
    return [check.gate for check in checks if not check.passed]


def test_beats_of_a_person_pass_whatever_the_tracker_found() -> None:
    """The F-measure of an override is that of the beats that it replaced."""
    automatic = bundle_info(f_measure=0.3, f_measure_reference="consensus")
    assert failed(show_checks(automatic, [])) == ["f_measure"]
    overridden = bundle_info(f_measure=0.3, f_measure_reference="override")
    assert failed(show_checks(overridden, [])) == []


def test_a_good_show_on_a_good_device() -> None:
    """All gates are checked, all are passed."""
    show, device = show_checks(bundle_info(), []), device_checks(row(), True, bundle_info(), [])
    assert [check.gate for check in show] == ["track_status", "f_measure", "estimate", "photosensitivity"]
    assert [check.gate for check in device] == ["presence", "firmware", "nodes", "space"]
    assert passed([*show, *device])
    assert (blocking_reason(show), compatibility(device)) == (None, ("ok", None))


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        ({"risk": "amber"}, ["estimate"]),
        ({"risk": "red"}, ["estimate"]),
        ({"photosensitivity_passed": None}, ["photosensitivity"]),
        ({"photosensitivity_passed": False}, ["photosensitivity"]),
        ({"f_measure": 0.79, "track_status": "warning"}, ["f_measure"]),
        ({"f_measure": 0.80}, []),
        ({"track_status": "warning"}, ["track_status"]),
        ({"integrity": 0.84, "track_status": "warning"}, ["track_status"]),
        ({"integrity": 0.84, "f_measure": 0.79, "track_status": "warning"}, ["track_status", "f_measure"]),
        ({"integrity": 0.85}, []),
    ],
)
def test_what_the_show_fails(changes: dict[str, Any], gates: list[Gate]) -> None:
    """Each fault fails its gate, with a reason."""
    checks = show_checks(bundle_info(**changes), [])
    assert failed(checks) == gates
    assert passed(checks) == (not gates)
    assert all(check.reason for check in checks if not check.passed)


@pytest.mark.parametrize(
    ("device", "online", "gates", "status"),
    [
        (None, True, ["presence"], "offline"),
        (row(), False, ["presence"], "offline"),
        (row(hello=None), True, ["presence"], "offline"),
        (row(revoked_at=LATER), True, ["presence"], "offline"),
        (row(hello=hello("a", firmware="1.9.9")), True, ["firmware"], "upgrade_required"),
        (row(hello=hello("a", firmware="2.0.0-rc.1")), True, ["firmware"], "upgrade_required"),
        (row(hello=hello("a", firmware="2.0.0+x")), True, [], "ok"),
        (row(hello=hello("a", node_types=["led"])), True, ["nodes"], "missing_nodes"),
        (row(hello=hello("a", flash_free_bytes=100_000)), True, ["space"], "no_space"),
        (
            row(hello=hello("a", node_types=[], firmware="1.0.0")),
            False,
            ["presence", "firmware", "nodes"],
            "offline",
        ),
    ],
)
def test_what_a_device_fails(device: DeviceRow | None, online: bool, gates: list[Gate], status: str) -> None:
    """Each fault fails its gate; the other gates are checked for an offline device as well."""
    checks = device_checks(device, online, bundle_info(), [])
    assert failed(checks) == gates
    assert compatibility(checks)[0] == status
    assert bool(blocking_reason(checks)) == bool(gates)


@given(st.integers(0, 5_000_000), st.integers(1, 4_194_304))
def test_space(free: int, size: int) -> None:
    """The bundle and a margin must fit; a bundle that is on the device needs no space."""
    info = bundle_info(size=size)
    checks = device_checks(row(hello=hello("a", flash_free_bytes=free)), True, info, [])
    assert passed(checks) == (free >= size + SPACE_MARGIN_BYTES)
    for held in ({"staged": [info.bundle.sha256]}, {"active": bundle(1)}):
        assert passed(device_checks(row(hello=hello("a", flash_free_bytes=free, **held)), True, info, []))


@given(st.sampled_from(sorted(OVERRIDABLE)), st.none() | st.sampled_from(["a", "b"]))
def test_an_override_lifts_its_gate_alone(gate: Gate, device_id: str | None) -> None:
    """For the device that it names or for all, and for nothing else; what is overridden stays visible."""
    bad = bundle_info(
        risk="red", photosensitivity_passed=False, f_measure=0.9, track_status="warning", required_nodes=["X"]
    )
    device = row(hello=hello("a", firmware="1.0.0", flash_free_bytes=0))
    lifted = [override(gate, device_id)]
    show, own = show_checks(bad, lifted), device_checks(device, True, bad, lifted)
    assert failed(show) == failed(show_checks(bad, []))
    assert {check.gate for check in show if check.overridden} == (
        {gate} & set(failed(show)) if device_id is None else set()
    )
    assert {check.gate for check in own if check.overridden} == (
        {gate} & set(failed(own)) if device_id != "b" else set()
    )
    assert all(check.reason for check in (*show, *own) if check.overridden)


def test_all_overridden() -> None:
    """Then all gates are passed."""
    bad = bundle_info(risk="red", photosensitivity_passed=None, f_measure=0.1, required_nodes=["X"])
    device = row(hello=hello("a", firmware="1.0.0", flash_free_bytes=0))
    all_of_them = [override(gate) for gate in OVERRIDABLE]
    assert passed([*show_checks(bad, all_of_them), *device_checks(device, True, bad, all_of_them)])


def test_presence_cannot_be_overridden() -> None:
    """An offline device stays blocked."""
    checks = device_checks(row(), False, bundle_info(), [override("presence"), override("presence", "a")])
    assert (failed(checks), passed(checks)) == (["presence"], False)
