"""Executes the commands that change the bundles and keys of a device: stage, discard, trust; pure."""

from k1_contracts.messages.deploy.device_link import Discard, ReplyCode, Stage, Trust
from k1_simulator.state_machine.keys import KeysRejectedError, replaced_keys
from k1_simulator.state_machine.memory import HeldBundle, StageJob
from k1_simulator.state_machine.pending_work import disarm, end_conflicting_work, end_transfer
from k1_simulator.state_machine.transition import StartTransfer, Transition

_WORTHLESS: frozenset[ReplyCode] = frozenset(
    {"size_mismatch", "hash_mismatch", "bad_signature", "unknown_key", "firmware_too_old", "missing_nodes"}
)
"""Failures after which the received bytes are useless."""


def stage(transition: Transition, command: Stage, slot_bytes: int) -> None:
    """Start a transfer, join one of the same bundle, or report that the bundle is already present."""
    if transition.memory.find(command.bundle_sha256):
        transition.reply("stage", command.command_id, "done", received_bytes=command.size)
        return
    if not end_conflicting_work(transition, "stage", command):
        return
    if command.size > slot_bytes:
        message = f"the bundle has {command.size} bytes, a slot takes {slot_bytes}"
        transition.refuse("stage", command.command_id, "no_space", message)
        return
    waiting = dict.fromkeys(
        (*(transition.memory.job.waiting if transition.memory.job else ()), command.command_id)
    )
    # The newest command is used, because its URL has not expired.
    job = StageJob(command=command, waiting=tuple(waiting))
    transition.change(job=job, partial=command.bundle_sha256)
    transition.reply("stage", command.command_id, "accepted")
    transition.effects.append(StartTransfer(command))


def progressed(transition: Transition, received_bytes: int) -> None:
    """Report the progress of the transfer."""
    for command_id in transition.memory.job.waiting if transition.memory.job else ():
        transition.reply("stage", command_id, "progress", received_bytes=received_bytes)


def transferred(transition: Transition, duration_ms: float | None) -> None:
    """Store the complete, verified bundle in the slot of the oldest one that does not run."""
    job = transition.memory.job
    if job is None:
        return
    command = job.command
    bundle = HeldBundle(
        bundle_sha256=command.bundle_sha256,
        track_id=command.track_id,
        version=command.version,
        size=command.size,
        duration_ms=duration_ms,
    )
    transition.change(job=None, partial=None, others=(*transition.memory.others, bundle))
    transition.memory = transition.memory.fitted()
    for command_id in job.waiting:
        transition.reply("stage", command_id, "done", received_bytes=command.size)


def transfer_failed(transition: Transition, code: ReplyCode, message: str) -> None:
    """Report the failure of the transfer."""
    if code in _WORTHLESS:
        transition.change(partial=None)
    end_transfer(transition, code, message)


def discard(transition: Transition, command: Discard) -> None:
    """Remove a bundle that does not run, complete or partial."""
    memory, sha256 = transition.memory, command.bundle_sha256
    if memory.active and memory.active.bundle_sha256 == sha256:
        transition.refuse(
            "discard", command.command_id, "still_active", "the bundle runs; deactivate it first"
        )
        return
    reason = f"discarded by the command {command.command_id}"
    if memory.job and memory.job.command.bundle_sha256 == sha256:
        end_transfer(transition, "fetch_failed", reason)
    if memory.armed and memory.armed.bundle_sha256 == sha256:
        disarm(transition, reason)
    if memory.partial == sha256:
        transition.change(partial=None)
    transition.change(others=tuple(bundle for bundle in memory.others if bundle.bundle_sha256 != sha256))
    transition.reply("discard", command.command_id, "done")


def trust(transition: Transition, command: Trust) -> None:
    """Replace the trusted keys if a trusted key has signed the new ones."""
    try:
        keys = replaced_keys(command.keys_document, command.signatures, transition.memory.trusted)
    except KeysRejectedError as error:
        transition.refuse("trust", command.command_id, error.code, str(error))
        return
    transition.change(trusted=keys)
    transition.reply("trust", command.command_id, "done")
