"""Ends the pending work of a device: a transfer or an armed activation; pure."""

from k1_contracts.messages.deploy.device_link import Activate, ReplyCode, Stage, Verb
from k1_simulator.state_machine.transition import Disarm, StopTransfer, Transition


def end_conflicting_work(transition: Transition, verb: Verb, command: Stage | Activate) -> bool:
    """Return whether no other bundle is pending; end what has a lower fence, else refuse with `busy`."""
    memory = transition.memory
    begun = [job.command for job in [memory.job] if job] + [armed for armed in [memory.armed] if armed]
    others = [other for other in begun if other.bundle_sha256 != command.bundle_sha256]
    for other in others:
        if other.fence >= command.fence:
            message = f"the command {other.command_id} is under way with bundle {other.bundle_sha256}"
            transition.refuse(verb, command.command_id, "busy", message)
            return False
    for other in others:
        _end(transition, other, f"replaced by the command {command.command_id}")
    return True


def end_transfer(transition: Transition, code: ReplyCode, message: str) -> None:
    """Fail every command that waits for the transfer; do nothing if there is none."""
    job = transition.memory.job
    if job is None:
        return
    transition.change(job=None)
    transition.effects.append(StopTransfer())
    for command_id in job.waiting:
        transition.fail("stage", command_id, code, message)


def disarm(transition: Transition, message: str) -> None:
    """Fail the armed activation; do nothing if there is none."""
    armed = transition.memory.armed
    if armed is None:
        return
    transition.change(armed=None)
    transition.effects.append(Disarm())
    transition.fail("activate", armed.command_id, "activate_failed", message)


def _end(transition: Transition, command: Stage | Activate, message: str) -> None:
    if isinstance(command, Stage):
        end_transfer(transition, "fetch_failed", message)
    else:
        disarm(transition, message)
