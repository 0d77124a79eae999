"""Executes the commands that select the active bundle: activate, deactivate; pure."""

import math
from typing import Final

from k1_contracts.messages.deploy.device_link import Activate, Deactivate
from k1_simulator.state_machine.pending_work import disarm, end_conflicting_work
from k1_simulator.state_machine.transition import Arm, Transition

_AHEAD_MAX_MS: Final = 24 * 3600 * 1000.0


def activate(transition: Transition, command: Activate, now_ms: float) -> None:
    """Arm a bundle for its activation time; start it at once if that time has passed."""
    memory = transition.memory
    if memory.find(command.bundle_sha256) is None:
        message = f"the bundle {command.bundle_sha256} is not here; stage it first"
        transition.refuse("activate", command.command_id, "not_staged", message)
        return
    at_ms = now_ms if command.at_ms is None else command.at_ms
    if not math.isfinite(at_ms) or at_ms > now_ms + _AHEAD_MAX_MS:
        transition.refuse("activate", command.command_id, "invalid_command", "at_ms is more than a day ahead")
        return
    if not end_conflicting_work(transition, "activate", command):
        return
    disarm(transition, f"replaced by the command {command.command_id}")
    if memory.active and memory.active.bundle_sha256 == command.bundle_sha256:
        since_ms = now_ms if memory.active_since_ms is None else memory.active_since_ms
        transition.reply("activate", command.command_id, "done", at_ms=since_ms)
        return
    transition.change(armed=command)
    transition.reply("activate", command.command_id, "accepted")
    transition.effects.append(Arm(max(at_ms, now_ms)))


def activated(transition: Transition, at_ms: float) -> None:
    """Make the armed bundle the active one from this time."""
    armed = transition.memory.armed
    bundle = transition.memory.find(armed.bundle_sha256) if armed else None
    if armed is None or bundle is None:
        return
    transition.change(armed=None)
    transition.memory = transition.memory.running(bundle, at_ms)
    transition.reply("activate", armed.command_id, "done", at_ms=at_ms)


def deactivate(transition: Transition, command: Deactivate, now_ms: float) -> None:
    """Run another stored bundle, or the idle show, from now on."""
    bundle = transition.memory.find(command.restore) if command.restore else None
    if command.restore and bundle is None:
        message = f"the bundle {command.restore} is not here; stage and activate it"
        transition.refuse("deactivate", command.command_id, "unknown_bundle", message)
        return
    disarm(transition, f"disarmed by the command {command.command_id}")
    if transition.memory.active != bundle:
        transition.memory = transition.memory.running(bundle, now_ms)
    transition.reply("deactivate", command.command_id, "done", at_ms=transition.memory.active_since_ms)
