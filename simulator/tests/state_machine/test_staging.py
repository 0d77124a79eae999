"""Tests how a device stages and discards bundles, without a connection."""

import pytest

from k1_contracts.messages.deploy.device_link import ReplyCode
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.transition import StartTransfer, StopTransfer
from simulator.tests.shows import NOW, address, command, fresh, held, replies, reply, staged


def test_stage_is_accepted_fetched_and_done() -> None:
    """It is `accepted` first, then the transfer runs with `progress`, then `done` has the bundles of the device."""
    machine = fresh(active=held(1))
    begun = machine.receive("stage", command("stage", bundle_sha256=address(2)), NOW)
    assert [answer.status for answer in replies(begun)] == ["accepted"]
    assert [effect.command.bundle_sha256 for effect in begun if isinstance(effect, StartTransfer)] == [
        address(2)
    ]
    assert reply(machine.progressed(400)).received_bytes == 400
    assert (machine.hello().staged, machine.hello().fetching) == ([], address(2))
    done = reply(machine.transferred())
    assert done.status == "done"
    assert done.hello is not None
    assert (done.hello.staged, done.hello.fetching) == ([address(2)], None)
    assert done.hello.active is not None
    assert done.hello.active.bundle_sha256 == address(1)
    assert (machine.memory.job, machine.memory.partial) == (None, None)


def test_a_second_staged_bundle_replaces_the_first() -> None:
    """There are two slots, and the active bundle is never removed."""
    machine = fresh(active=held(1))
    staged(machine, 2, "s2")
    staged(machine, 3, "s3")
    assert [bundle.bundle_sha256 for bundle in machine.memory.others] == [address(3)]
    assert machine.memory.active == held(1)


def test_staging_a_stored_bundle_is_done_at_once() -> None:
    """No bundle is downloaded twice."""
    machine = fresh(active=held(1), others=(held(2),))
    effects = machine.receive("stage", command("stage", bundle_sha256=address(2)), NOW)
    assert reply(effects).status == "done"
    assert len(effects) == 1


def test_two_stages_of_one_bundle_are_one_transfer_with_two_replies() -> None:
    """The later command's URL is used, and both commands get a reply."""
    machine = fresh()
    machine.receive("stage", command("stage", "a", bundle_sha256=address(2)), NOW)
    effects = machine.receive(
        "stage", command("stage", "b", bundle_sha256=address(2), url="http://new/x"), NOW
    )
    assert [effect.command.url for effect in effects if isinstance(effect, StartTransfer)] == ["http://new/x"]
    assert {answer.command_id: answer.status for answer in replies(machine.transferred())} == {
        "a": "done",
        "b": "done",
    }


def test_a_second_stage_is_busy_unless_its_fence_is_higher() -> None:
    """The same commander is refused; a later one ends the transfer of the earlier one."""
    machine = fresh()
    machine.receive("stage", command("stage", "a", bundle_sha256=address(2), fence=3), NOW)
    same = reply(machine.receive("stage", command("stage", "b", bundle_sha256=address(3), fence=3), NOW))
    assert (same.status, same.code) == ("refused", "busy")
    effects = machine.receive("stage", command("stage", "c", bundle_sha256=address(3), fence=4), NOW)
    assert [(a.command_id, a.status, a.code) for a in replies(effects)] == [
        ("a", "failed", "fetch_failed"),
        ("c", "accepted", None),
    ]
    assert StopTransfer() in effects


def test_a_bundle_larger_than_a_slot_is_refused() -> None:
    """The reply is `no_space` with both sizes, before a byte is downloaded."""
    machine = fresh()
    answer = reply(machine.receive("stage", command("stage", bundle_sha256=address(2), size=10**9), NOW))
    assert (answer.status, answer.code) == ("refused", "no_space")
    assert "1000000000" in (answer.message or "")


@pytest.mark.parametrize(
    ("code", "kept"), [("fetch_failed", True), ("hash_mismatch", False), ("unknown_key", False)]
)
def test_a_failed_transfer_keeps_only_useful_bytes(code: ReplyCode, kept: bool) -> None:
    """After a broken connection the next stage continues; bytes with a wrong hash or signature are deleted."""
    machine = fresh(active=held(1))
    machine.receive("stage", command("stage", bundle_sha256=address(2)), NOW)
    answer = reply([e for e in machine.transfer_failed(code, "why") if not isinstance(e, StopTransfer)])
    assert (answer.status, answer.code, answer.message) == ("failed", code, "why")
    assert (machine.memory.partial == address(2)) is kept
    assert machine.memory.active == held(1)


def test_discard_removes_any_bundle_but_the_active_one() -> None:
    """The reply for the active one is `still_active`; an unknown one is done as well."""
    machine = fresh(active=held(1), others=(held(2),))
    refused = reply(machine.receive("discard", command("discard", "a", bundle_sha256=address(1)), NOW))
    assert (refused.status, refused.code) == ("refused", "still_active")
    assert (
        reply(machine.receive("discard", command("discard", "b", bundle_sha256=address(2)), NOW)).status
        == "done"
    )
    assert (
        reply(machine.receive("discard", command("discard", "c", bundle_sha256=address(9)), NOW)).status
        == "done"
    )
    assert machine.memory.held == (held(1),)


def test_discard_ends_pending_work_with_the_bundle() -> None:
    """A transfer is stopped and its part deleted; an armed activation fails."""
    machine = fresh(active=held(1))
    machine.receive("stage", command("stage", "s", bundle_sha256=address(2)), NOW)
    effects = machine.receive("discard", command("discard", "d", bundle_sha256=address(2)), NOW)
    assert [(a.command_id, a.status) for a in replies(effects)] == [("s", "failed"), ("d", "done")]
    assert machine.memory.partial is None
    staged(machine, 3, "s3")
    machine.receive("activate", command("activate", "a", bundle_sha256=address(3), at_ms=NOW + 9), NOW)
    effects = machine.receive("discard", command("discard", "d3", bundle_sha256=address(3)), NOW)
    assert [(a.command_id, a.status) for a in replies(effects)] == [("a", "failed"), ("d3", "done")]
    assert machine.memory.held == (held(1),)


def test_after_a_restart_the_transfer_continues_and_the_armed_time_is_lost() -> None:
    """The clock has started again, so the earlier `at_ms` is invalid, and the commander is informed; the show begins again."""
    machine = fresh(active=held(1), others=(held(2),))
    machine.receive("activate", command("activate", "a", bundle_sha256=address(2), at_ms=NOW + 9), NOW)
    restarted = Machine(machine.profile, machine.memory.model_validate_json(machine.memory.to_json()))
    failed = replies(restarted.booted(500.0))
    assert restarted.memory.active_since_ms == 500.0
    assert [(a.command_id, a.status, a.code) for a in failed] == [("a", "failed", "activate_failed")]
    machine = fresh(active=held(1))
    machine.receive("stage", command("stage", "s", bundle_sha256=address(2)), NOW)
    restarted = Machine(machine.profile, machine.memory.model_validate_json(machine.memory.to_json()))
    assert [e.command.bundle_sha256 for e in restarted.booted(0.0) if isinstance(e, StartTransfer)] == [
        address(2)
    ]
    assert (
        reply(restarted.receive("stage", command("stage", "s", bundle_sha256=address(2)), NOW)).status
        == "accepted"
    )
    assert restarted.memory.boots == 1
