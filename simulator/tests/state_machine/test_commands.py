"""Tests what a device answers to any command: fences, repetitions, deadlines, invalid ones."""

import pytest

from k1_contracts.messages.deploy.device_link import Verb
from k1_simulator.state_machine.transition import SendReply
from simulator.tests.shows import DEVICE, KEY, NOW, address, command, fresh, held, kid, replies, reply


def test_info_describes_the_device_and_its_bundles() -> None:
    """The hello of `info` names the device, its bundles and its trusted keys."""
    machine = fresh(active=held(1), others=(held(2),))
    answer = reply(machine.receive("info", command("info"), NOW))
    assert answer.status == "done"
    assert answer.hello is not None
    assert answer.hello.id == DEVICE
    assert answer.hello.active is not None
    assert answer.hello.active.bundle_sha256 == address(1)
    assert answer.hello.staged == [address(2)]
    assert answer.hello.key_ids == [kid(KEY)]
    assert answer.hello.firmware == machine.profile.firmware
    assert "led_output" in answer.hello.node_types or len(answer.hello.node_types) > 40


def test_ping_returns_only_the_time() -> None:
    """Both times are on the device clock; a second ping with the same id returns the new time."""
    machine = fresh()
    first = reply(machine.receive("ping", command("ping"), NOW))
    again = reply(machine.receive("ping", command("ping"), NOW + 7))
    assert (first.received_ms, first.replied_ms, first.hello) == (NOW, NOW, None)
    assert again.received_ms == NOW + 7


def test_a_lower_fence_is_refused_and_a_repetition_is_not() -> None:
    """A replaced process gets `stale_fence`; the same command from its successor gets the earlier reply."""
    machine = fresh(active=held(1))
    machine.receive("stage", command("stage", "s", bundle_sha256=address(2), fence=7), NOW)
    machine.transferred()
    stale = reply(machine.receive("discard", command("discard", "d", bundle_sha256=address(2), fence=6), NOW))
    assert (stale.status, stale.code) == ("refused", "stale_fence")
    again = reply(machine.receive("stage", command("stage", "s", bundle_sha256=address(2), fence=8), NOW))
    assert again.status == "done"
    assert machine.memory.fence == 8
    late = reply(machine.receive("stage", command("stage", "s9", bundle_sha256=address(9), fence=7), NOW))
    assert late.code == "stale_fence"


def test_a_command_without_a_fence_is_accepted() -> None:
    """Fence 0 belongs to no process."""
    machine = fresh(fence=7)
    assert reply(machine.receive("info", command("info"), NOW)).status == "done"


def test_a_refused_command_is_checked_again_when_repeated() -> None:
    """A successor repeats its predecessor's command id, whatever the reply was."""
    machine = fresh(active=held(1), others=(held(2),), fence=7)
    body = {"bundle_sha256": address(2)}
    assert (
        reply(machine.receive("discard", command("discard", "d", fence=6, **body), NOW)).code == "stale_fence"
    )
    assert reply(machine.receive("discard", command("discard", "d", fence=8, **body), NOW)).status == "done"


def test_a_command_after_its_deadline_is_refused() -> None:
    """The device's own clock counts; a command that started in time gets its reply at any time."""
    machine = fresh()
    late = reply(machine.receive("info", command("info", deadline_ms=NOW - 1), NOW))
    assert (late.status, late.code) == ("refused", "deadline_passed")
    machine.receive("stage", command("stage", "s", bundle_sha256=address(2), deadline_ms=NOW), NOW)
    again = reply(
        machine.receive("stage", command("stage", "s", bundle_sha256=address(2), deadline_ms=NOW), NOW + 99)
    )
    assert again.status == "accepted"


@pytest.mark.parametrize(
    ("body", "command_id"),
    [
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b"[1]", ""),
        (b'{"command_id": 5}', ""),
        (b'{"command_id": "x", "bundle_sha256": "short"}', "x"),
        (b'{"command_id": "x", "bundle_sha256": "' + b"0" * 64 + b'", "fence": -1}', "x"),
        (b'{"command_id": "' + b"y" * 500 + b'"}', "y" * 80),
    ],
)
def test_an_invalid_command_gets_a_clear_refusal(body: bytes, command_id: str) -> None:
    """No exception is raised, and the reply has the command's id if there is one."""
    machine = fresh(active=held(1))
    answer = reply(machine.receive("discard", body, NOW))
    assert (answer.status, answer.code, answer.command_id) == ("refused", "invalid_command", command_id)
    assert answer.message
    assert machine.memory == fresh(active=held(1)).memory


def test_one_id_for_two_verbs_is_refused() -> None:
    """The reply to a stage is not used for a discard."""
    machine = fresh()
    machine.receive("stage", command("stage", "x", bundle_sha256=address(2)), NOW)
    answer = reply(machine.receive("discard", command("discard", "x", bundle_sha256=address(2)), NOW))
    assert (answer.status, answer.code) == ("refused", "invalid_command")


@pytest.mark.parametrize("verb", ["stage", "activate", "deactivate", "discard"])
def test_a_repetition_has_no_second_effect(verb: Verb) -> None:
    """The newest reply is repeated, and nothing else happens."""
    machine = fresh(active=held(1), others=(held(2),))
    bodies: dict[str, bytes] = {
        "stage": command("stage", bundle_sha256=address(3)),
        "activate": command("activate", bundle_sha256=address(2)),
        "deactivate": command("deactivate", restore=address(2)),
        "discard": command("discard", bundle_sha256=address(2)),
    }
    first = replies(machine.receive(verb, bodies[verb], NOW))[-1]
    before = machine.memory
    again = machine.receive(verb, bodies[verb], NOW + 1)
    assert again == [SendReply(first)]
    assert machine.memory == before
