"""Which bundles a device holds and which keys it trusts: stage, discard, trust; pure."""

from k1_contracts.devices import Discard, ReplyCode, Stage, Trust
from k1_simulator.keys import KeysRefusedError, replaced_keys
from k1_simulator.memory import HeldBundle, StageJob
from k1_simulator.turn import StartTransfer, Turn
from k1_simulator.underway import disarm, end_transfer, make_way

_WORTHLESS: frozenset[ReplyCode] = frozenset(
    {"size_mismatch", "hash_mismatch", "bad_signature", "unknown_key", "firmware_too_old", "missing_nodes"}
)
"""Failures after which the bytes that came are of no use."""


def stage(turn: Turn, command: Stage, slot_bytes: int) -> None:
    """Begin a transfer, join the one that brings this bundle already, or say that it is here."""
    if turn.memory.find(command.bundle_sha256):
        turn.answer("stage", command.command_id, "done", received_bytes=command.size)
        return
    if not make_way(turn, "stage", command):
        return
    if command.size > slot_bytes:
        message = f"the bundle has {command.size} bytes, a slot takes {slot_bytes}"
        turn.refuse("stage", command.command_id, "no_space", message)
        return
    waiting = dict.fromkeys((*(turn.memory.job.waiting if turn.memory.job else ()), command.command_id))
    # Of several commands the newest counts: its URL is the one that has not expired.
    job = StageJob(command=command, waiting=tuple(waiting))
    turn.change(job=job, partial=command.bundle_sha256)
    turn.answer("stage", command.command_id, "accepted")
    turn.effects.append(StartTransfer(command))


def progressed(turn: Turn, received_bytes: int) -> None:
    """Tell how far the transfer is."""
    for command_id in turn.memory.job.waiting if turn.memory.job else ():
        turn.answer("stage", command_id, "progress", received_bytes=received_bytes)


def transferred(turn: Turn) -> None:
    """The bundle is whole and checked; it takes the slot of the oldest that does not run."""
    job = turn.memory.job
    if job is None:
        return
    command = job.command
    bundle = HeldBundle(
        bundle_sha256=command.bundle_sha256,
        track_id=command.track_id,
        version=command.version,
        size=command.size,
    )
    turn.change(job=None, partial=None, others=(*turn.memory.others, bundle))
    turn.memory = turn.memory.fitted()
    for command_id in job.waiting:
        turn.answer("stage", command_id, "done", received_bytes=command.size)


def transfer_failed(turn: Turn, code: ReplyCode, message: str) -> None:
    """The bundle did not come, or is not what it should be."""
    if code in _WORTHLESS:
        turn.change(partial=None)
    end_transfer(turn, code, message)


def discard(turn: Turn, command: Discard) -> None:
    """Forget a bundle that does not run, whole or on its way."""
    memory, sha256 = turn.memory, command.bundle_sha256
    if memory.active and memory.active.bundle_sha256 == sha256:
        turn.refuse("discard", command.command_id, "still_active", "the bundle runs; deactivate it first")
        return
    reason = f"discarded by the command {command.command_id}"
    if memory.job and memory.job.command.bundle_sha256 == sha256:
        end_transfer(turn, "fetch_failed", reason)
    if memory.armed and memory.armed.bundle_sha256 == sha256:
        disarm(turn, reason)
    if memory.partial == sha256:
        turn.change(partial=None)
    turn.change(others=tuple(bundle for bundle in memory.others if bundle.bundle_sha256 != sha256))
    turn.answer("discard", command.command_id, "done")


def trust(turn: Turn, command: Trust) -> None:
    """Replace the trusted keys, on the word of a trusted one."""
    try:
        keys = replaced_keys(command.keys_document, command.signatures, turn.memory.trusted)
    except KeysRefusedError as error:
        turn.refuse("trust", command.command_id, error.code, str(error))
        return
    turn.change(trusted=keys)
    turn.answer("trust", command.command_id, "done")
