"""Tests what a device does with each command, without a connection."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_contracts.messages.deploy.device_link import ReplyCode, Verb
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.transition import Arm, Disarm, SendReply, StartTransfer, StopTransfer
from simulator.tests.shows import (
    DEVICE,
    KEY,
    STRANGER,
    address,
    command,
    fresh,
    held,
    jwk_set,
    kid,
    replies,
    reply,
    x,
)

NOW = 5000.0


def staged(machine: Machine, number: int, command_id: str = "s", **fields: object) -> None:
    """Stage a bundle completely."""
    machine.receive("stage", command("stage", command_id, bundle_sha256=address(number), **fields), NOW)
    machine.transferred()


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


def test_trust_accepts_keys_that_a_trusted_key_signed() -> None:
    """The complete set is replaced; one signature of a trusted key is enough."""
    machine = fresh()
    document = jwk_set(STRANGER)
    good = KEY.sign(document.encode()).hex()
    signatures = {kid(STRANGER): "00", kid(KEY): good}
    answer = reply(
        machine.receive("trust", command("trust", keys_document=document, signatures=signatures), NOW)
    )
    assert answer.status == "done"
    assert list(machine.memory.trusted) == [kid(STRANGER)]


def test_one_valid_signature_is_enough() -> None:
    """The signature of another trusted key may be wrong."""
    machine = fresh()
    machine.memory = machine.memory.model_copy(update={"trusted": {kid(k): x(k) for k in (STRANGER, KEY)}})
    document = jwk_set(STRANGER)
    signatures = {kid(STRANGER): "00" * 64, kid(KEY): KEY.sign(document.encode()).hex()}
    body = command("trust", keys_document=document, signatures=signatures)
    assert reply(machine.receive("trust", body, NOW)).status == "done"


@pytest.mark.parametrize(
    ("document", "signer", "claimed", "code"),
    [
        (jwk_set(STRANGER), STRANGER, STRANGER, "unknown_key"),
        (jwk_set(STRANGER), STRANGER, KEY, "bad_signature"),
        ('{"keys": []}', KEY, KEY, "invalid_command"),
        ("no JSON", KEY, KEY, "invalid_command"),
        (jwk_set(KEY).replace(kid(KEY), "0" * 16), KEY, KEY, "invalid_command"),
    ],
)
def test_trust_refuses_everything_else(
    document: str, signer: Ed25519PrivateKey, claimed: Ed25519PrivateKey, code: str
) -> None:
    """It refuses an unknown signer, a wrong signature, no key, no document and a key with a wrong id."""
    machine = fresh()
    signatures = {kid(claimed): signer.sign(document.encode()).hex()}
    answer = reply(
        machine.receive("trust", command("trust", keys_document=document, signatures=signatures), NOW)
    )
    assert (answer.status, answer.code) == ("refused", code)
    assert list(machine.memory.trusted) == [kid(KEY)]


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
