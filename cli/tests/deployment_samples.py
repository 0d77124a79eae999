"""Sample deployments as deploy returns them, with realistic times of a rollout."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deploy.deployments import (
    ActivateNow,
    DeploymentStatus,
    DeviceOutcome,
    StepView,
    Strategy,
)

TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
ZERO = datetime(2026, 5, 1, 20, 15, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def step(name: Any, start: float, end: float | None, status: Any = "done", **more: Any) -> StepView:
    ended = None if end is None else at(end)
    return StepView(step=name, status=status, started_at=at(start), ended_at=ended, **more)


def view(
    devices: Sequence[DeviceDeployment],
    status: DeploymentStatus,
    end: float,
    log: Sequence[tuple[float, str]] = (),
    **more: Any,
) -> DeploymentView:
    outcomes: Counter[DeviceOutcome] = Counter(device.outcome for device in devices)
    ended = at(end) if status in {"succeeded", "failed", "rolled_back", "cancelled"} else None
    fields: dict[str, Any] = {
        "strategy": Strategy(),
        "log": [LogLine(seq=seq, at=at(t), text=text) for seq, (t, text) in enumerate(log, start=1)],
        "updated_at": at(end),
        "reason": None,
        **more,
    }
    return DeploymentView(
        id=DEPLOYMENT,
        track_id=TRACK,
        version=3,
        status=status,
        requested_by="ada",
        total=len(devices),
        counts=dict(outcomes),
        created_at=at(0),
        ended_at=ended,
        activation=ActivateNow(),
        overrides=[],
        checks=[],
        devices=list(devices),
        audit=[],
        **fields,
    )


def rollout(
    count: int, *, canary: int = 0, batch_size: int | None = None, observe: float = 10.0, seed: int = 1
):
    """Return a deployment that succeeds on `count` devices."""
    random = Random(seed)
    sizes = _batches(count, canary, batch_size)
    staged = {number: random.uniform(1.2, 3.4) for number in range(count)}
    begin, log, devices = (
        max(staged.values()) + 0.3,
        [(0.02, "Checking"), (0.2, f"Staging on {count} devices")],
        [],
    )
    number = 0
    for batch, size in enumerate(sizes, start=1):
        log += [
            (begin, f"Activating batch {batch}"),
            (begin + 0.6, f"Observing batch {batch} for {observe:g} s"),
        ]
        for _ in range(size):
            beat = begin + 0.5 + random.gauss(0, 0.004)
            steps = [
                step("check", 0.02, 0.05),
                step("stage", 0.2, staged[number], attempt=2 if number % 7 == 3 else 1),
                step("activate", begin, beat, error_ms=random.gauss(0, 4)),
                step("verify", beat, beat + random.uniform(0.05, 0.2)),
                step("observe", begin + 0.8, begin + 0.8 + observe),
            ]
            devices.append(
                DeviceDeployment(
                    device_id=f"k1-{number + 1:02}", outcome="committed", batch=batch, steps=steps
                )
            )
            number += 1
        begin += 1.0 + observe
    for device in devices:
        device.steps.append(step("commit", begin, begin + random.uniform(0.05, 0.25)))
    log += [(begin, "Committing"), (begin + 0.4, "Succeeded")]
    strategy = Strategy(canary=canary, batch_size=batch_size, observe_seconds=observe)
    return view(devices, "succeeded", begin + 0.4, log, strategy=strategy)


def rollback(count: int = 12, faulty: int = 7) -> DeploymentView:
    """Return a deployment in which one device of the second batch fails to activate, so that all are rolled back."""
    whole = rollout(count, canary=2, batch_size=5, observe=5.0)
    devices = [_gone_back(device, number == faulty) for number, device in enumerate(whole.devices, start=1)]
    log = [(line.at - ZERO).total_seconds() for line in whole.log]
    lines = [(t, line.text) for t, line in zip(log, whole.log, strict=True) if t < 10]
    lines += [(12.4, "k1-07 did not activate: rolling back 7 devices"), (13.4, "Rolled back")]
    reason = "k1-07: activate_failed: the bundle did not start within 2 s ($x_1$ = 0)"
    return view(devices, "rolled_back", 13.5, lines, strategy=whole.strategy, reason=reason)


def _gone_back(device: DeviceDeployment, faulty: bool) -> DeviceDeployment:
    steps = list(device.steps[:2])
    if device.batch == 3:
        return device.model_copy(
            update={"outcome": "discarded", "steps": [*steps, step("discard", 12.5, 12.8)]}
        )
    steps += [s for s in device.steps[2:5] if s.started_at < at(12.4)]
    if faulty:
        begun = next(s for s in steps if s.step == "activate").started_at
        failed = StepView(
            step="activate", status="failed", started_at=begun, ended_at=at(12.4), detail="no answer"
        )
        return device.model_copy(
            update={
                "outcome": "rolled_back",
                "reason": "activate_failed",
                "steps": [*steps[:2], failed, step("rollback", 12.5, 13.3, attempt=2)],
            }
        )
    steps = [s.model_copy(update={"ended_at": min(s.ended_at or at(12.4), at(12.4))}) for s in steps]
    if device.batch == 2:
        cut_off = {"status": "failed", "detail": "ended by what came next"}
        steps = [s.model_copy(update=cut_off) if s.step == "observe" else s for s in steps]
    return device.model_copy(
        update={"outcome": "rolled_back", "steps": [*steps, step("rollback", 12.5, 12.9)]}
    )


def _batches(count: int, canary: int, batch_size: int | None) -> list[int]:
    first = [min(canary, count)] if canary else []
    rest = count - sum(first)
    size = batch_size or max(rest, 1)
    return first + [min(size, rest - begun) for begun in range(0, rest, size)]
