"""What a device has begun and not ended: a transfer, an armed activation; pure."""

from k1_contracts.devices import Activate, ReplyCode, Stage, Verb
from k1_simulator.turn import Disarm, StopTransfer, Turn


def make_way(turn: Turn, verb: Verb, command: Stage | Activate) -> bool:
    """Whether nothing with another bundle is under way; what a lower fence began is ended, else `busy` is answered."""
    memory = turn.memory
    begun = [job.command for job in [memory.job] if job] + [armed for armed in [memory.armed] if armed]
    others = [other for other in begun if other.bundle_sha256 != command.bundle_sha256]
    for other in others:
        if other.fence >= command.fence:
            message = f"the command {other.command_id} is under way with bundle {other.bundle_sha256}"
            turn.refuse(verb, command.command_id, "busy", message)
            return False
    for other in others:
        _end(turn, other, f"replaced by the command {command.command_id}")
    return True


def end_transfer(turn: Turn, code: ReplyCode, message: str) -> None:
    """Fail every command that waits for the transfer; harmless when there is none."""
    job = turn.memory.job
    if job is None:
        return
    turn.change(job=None)
    turn.effects.append(StopTransfer())
    for command_id in job.waiting:
        turn.fail("stage", command_id, code, message)


def disarm(turn: Turn, message: str) -> None:
    """Fail the armed activation; harmless when there is none."""
    armed = turn.memory.armed
    if armed is None:
        return
    turn.change(armed=None)
    turn.effects.append(Disarm())
    turn.fail("activate", armed.command_id, "activate_failed", message)


def _end(turn: Turn, command: Stage | Activate, message: str) -> None:
    if isinstance(command, Stage):
        end_transfer(turn, "fetch_failed", message)
    else:
        disarm(turn, message)
