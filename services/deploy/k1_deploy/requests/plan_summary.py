"""Describes the steps of a deployment in sentences, for readers of its plan. Pure."""

from collections.abc import Sequence
from typing import Final

from k1_contracts.base import rfc3339
from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import (
    ActivateAt,
    ActivateNow,
    ActivateOnDownbeat,
    Activation,
    DeploymentOrder,
)

_MAX_NAMED: Final = 5


def summarize_steps(
    order: DeploymentOrder,
    bundle: BundleRef,
    batches: Sequence[Sequence[str]],
    blocked: int,
    waits_for: Sequence[str],
) -> list[str]:
    """Return what would happen, in order. `batches`: devices that pass; `blocked`: how many do not."""
    total = sum(map(len, batches))
    steps = [f"Wait for {_join_names(waits_for)} to end."] if waits_for else []
    if blocked:
        steps.append(f"Leave out {_devices(blocked)}, which a gate blocks.")
    steps.append(
        f"Stage bundle {bundle.sha256[:12]} ({bundle.size / 1024:.0f} KiB) on {_devices(total)}; nothing changes yet."
    )
    for number, batch in enumerate(batches, 1):
        steps += _batch(order, number, batch, len(batches))
    steps.append("Commit: what ran before stays on the devices for ten minutes, then it is discarded.")
    return steps


def _batch(order: DeploymentOrder, number: int, batch: Sequence[str], of: int) -> list[str]:
    strategy = order.strategy
    canary = " (canary)" if strategy.canary and number == 1 else ""
    name = f"batch {number} of {of}{canary}" if of > 1 or canary else "all together"
    when = _activation_time(order.activation) if number == 1 else "as soon as all are armed"
    steps = [f"Activate {name}: {_join_names(batch)}, {when}."]
    if strategy.quality and number == 1:
        steps.append(
            f"Measure {'its' if len(batch) == 1 else 'their'} drift for {strategy.quality.bars} bars of the song: beyond "
            f"{strategy.quality.max_drift_ms:g} ms everything is rolled back."
        )
    if strategy.observe_seconds:
        steps.append(f"Watch {'it' if len(batch) == 1 else 'them'} for {strategy.observe_seconds:g} s.")
    return steps


def _activation_time(activation: Activation) -> str:
    match activation:
        case ActivateNow():
            return "as soon as all are armed"
        case ActivateAt():
            return f"at {rfc3339(activation.at)}"
        case ActivateOnDownbeat():
            return f"on the next downbeat of version {activation.version} of {activation.track_id}"


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"


def _join_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"
