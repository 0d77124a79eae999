"""Tests how a device activates and deactivates bundles, without a connection."""

import json

import pytest

from k1_simulator.state_machine.transition import Arm, Disarm
from simulator.tests.shows import NOW, address, command, fresh, held, replies, reply


def test_activate_arms_and_runs_at_its_time() -> None:
    """It is `accepted` when armed and `done` with its time; the earlier show stays as the other bundle."""
    machine = fresh(active=held(1), others=(held(2),))
    armed = machine.receive("activate", command("activate", bundle_sha256=address(2), at_ms=NOW + 50), NOW)
    assert reply(armed).status == "accepted"
    assert Arm(NOW + 50) in armed
    assert machine.memory.active == held(1)
    done = reply(machine.activated(NOW + 50.3))
    assert (done.status, done.at_ms) == ("done", NOW + 50.3)
    assert machine.memory.active == held(2)
    assert machine.memory.others == (held(1),)


def test_activate_without_a_time_or_with_a_past_one_runs_now() -> None:
    """The timer is set to now, never to the past."""
    machine = fresh(others=(held(2),))
    assert Arm(NOW) in machine.receive("activate", command("activate", bundle_sha256=address(2)), NOW)
    late = command("activate", "c2", bundle_sha256=address(2), at_ms=NOW - 1000)
    assert Arm(NOW) in machine.receive("activate", late, NOW)


def test_activating_the_active_bundle_returns_its_start() -> None:
    """A commander that lost the reply learns when it started."""
    machine = fresh(others=(held(2),))
    machine.receive("activate", command("activate", bundle_sha256=address(2)), NOW)
    machine.activated(NOW)
    answer = reply(
        machine.receive("activate", command("activate", "later", bundle_sha256=address(2)), NOW + 99)
    )
    assert (answer.status, answer.at_ms) == ("done", NOW)


def test_activating_a_missing_bundle_is_refused() -> None:
    """The reply is `not_staged`, also during its transfer."""
    machine = fresh()
    machine.receive("stage", command("stage", "s", bundle_sha256=address(2)), NOW)
    answer = reply(machine.receive("activate", command("activate", bundle_sha256=address(2)), NOW))
    assert (answer.status, answer.code) == ("refused", "not_staged")


@pytest.mark.parametrize("at", ["NaN", "Infinity", "1e18"])
def test_activating_at_an_impossible_time_is_refused(at: str) -> None:
    """A time that never comes is not armed."""
    machine = fresh(others=(held(2),))
    body = json.dumps({"command_id": "c", "bundle_sha256": address(2)})[:-1] + f', "at_ms": {at}}}'
    answer = reply(machine.receive("activate", body.encode(), NOW))
    assert (answer.status, answer.code) == ("refused", "invalid_command")


def test_deactivate_disarms_and_restores() -> None:
    """The armed activation fails, and the device runs the bundle to restore."""
    machine = fresh(active=held(1), others=(held(2),))
    machine.receive("activate", command("activate", "a", bundle_sha256=address(2), at_ms=NOW + 50), NOW)
    effects = machine.receive("deactivate", command("deactivate", "d", restore=address(1)), NOW)
    assert [(a.command_id, a.status, a.code) for a in replies(effects)] == [
        ("a", "failed", "activate_failed"),
        ("d", "done", None),
    ]
    assert Disarm() in effects
    assert machine.memory.active == held(1)
    assert machine.activated(NOW + 50) == []


def test_deactivate_restores_and_keeps_the_last_bundle() -> None:
    """The deactivated bundle stays staged."""
    machine = fresh(active=held(2), others=(held(1),))
    machine.receive("deactivate", command("deactivate", restore=address(1), bundle_sha256=address(2)), NOW)
    assert (machine.memory.active, machine.memory.others) == (held(1), (held(2),))


def test_deactivate_without_restore_starts_the_idle_show() -> None:
    """Both bundles stay on the device."""
    machine = fresh(active=held(2), others=(held(1),))
    machine.receive("deactivate", command("deactivate"), NOW)
    assert (machine.memory.active, machine.memory.others) == (None, (held(1), held(2)))


def test_deactivate_to_a_missing_bundle_changes_nothing() -> None:
    """The reply is `unknown_bundle`."""
    machine = fresh(active=held(2))
    answer = reply(machine.receive("deactivate", command("deactivate", restore=address(9)), NOW))
    assert (answer.status, answer.code) == ("refused", "unknown_bundle")
    assert machine.memory.active == held(2)
