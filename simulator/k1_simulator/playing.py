"""Which bundle a device runs: activate, deactivate; pure."""

import math
from typing import Final

from k1_contracts.devices import Activate, Deactivate
from k1_simulator.turn import Arm, Turn
from k1_simulator.underway import disarm, make_way

_AHEAD_MAX_MS: Final = 24 * 3600 * 1000.0


def activate(turn: Turn, command: Activate, now_ms: float) -> None:
    """Arm a bundle for its moment; one whose moment has passed runs at once."""
    memory = turn.memory
    if memory.find(command.bundle_sha256) is None:
        message = f"the bundle {command.bundle_sha256} is not here; stage it first"
        turn.refuse("activate", command.command_id, "not_staged", message)
        return
    at_ms = now_ms if command.at_ms is None else command.at_ms
    if not math.isfinite(at_ms) or at_ms > now_ms + _AHEAD_MAX_MS:
        turn.refuse("activate", command.command_id, "invalid_command", "at_ms is more than a day ahead")
        return
    if not make_way(turn, "activate", command):
        return
    disarm(turn, f"replaced by the command {command.command_id}")
    if memory.active and memory.active.bundle_sha256 == command.bundle_sha256:
        since_ms = now_ms if memory.active_since_ms is None else memory.active_since_ms
        turn.answer("activate", command.command_id, "done", at_ms=since_ms)
        return
    turn.change(armed=command)
    turn.answer("activate", command.command_id, "accepted")
    turn.effects.append(Arm(max(at_ms, now_ms)))


def activated(turn: Turn, at_ms: float) -> None:
    """The armed bundle began to run at this moment."""
    armed = turn.memory.armed
    bundle = turn.memory.find(armed.bundle_sha256) if armed else None
    if armed is None or bundle is None:
        return
    turn.change(armed=None)
    turn.memory = turn.memory.running(bundle, at_ms)
    turn.answer("activate", armed.command_id, "done", at_ms=at_ms)


def deactivate(turn: Turn, command: Deactivate, now_ms: float) -> None:
    """Run another bundle that is here, or the idle show, from now on."""
    bundle = turn.memory.find(command.restore) if command.restore else None
    if command.restore and bundle is None:
        message = f"the bundle {command.restore} is not here; stage and activate it"
        turn.refuse("deactivate", command.command_id, "unknown_bundle", message)
        return
    disarm(turn, f"disarmed by the command {command.command_id}")
    if turn.memory.active != bundle:
        turn.memory = turn.memory.running(bundle, now_ms)
    turn.answer("deactivate", command.command_id, "done", at_ms=turn.memory.active_since_ms)
