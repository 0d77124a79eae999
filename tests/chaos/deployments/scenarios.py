"""Generates the scenario of one chaos run from a seed; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Final, Literal

from k1_contracts.messages.deploy.deployments import Strategy
from k1_contracts.messages.deploy.device_link import COMMANDS
from k1_simulator.faults.models import AnyFault, FaultPlan, LieSuccess, Slow, TelemetryFault

Kind = Literal["deploy", "handover", "stall", "nats", "postgres", "s3", "cancel", "rollback", "pause"]
FAULTY_SHARE: Final = 0.1
CHANGES_A_DEVICE: Final = 9
"""About so many live changes are published about a device in a deployment that succeeds."""
_FAULTS_FOR_S: Final = ((1.0, 3.5), (1.0, 3.5), (6.0, 12.0))
"""Ranges; the last is long enough for the process that takes over to meet the faults."""
_SHARES: Final[dict[Kind, float]] = {
    "nats": 0.35,
    "postgres": 0.35,
    "s3": 0.15,
    "stall": 0.1,
    "handover": 0.1,
}
LEASE_S: Final = 2.0
"""After this the deployments of a killed process are taken over; shorter than in operation, as every run waits for it."""
_VERBS: Final = sorted(COMMANDS)
_CODES: Final = ("busy", "no_space", "fetch_failed", "bad_signature", "activate_failed", "not_staged")
_FOREVER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ChaosAction:
    """A kill, a stall, a handover, or an intervention of an operator during a deployment."""

    kind: Kind
    after_changes: int
    """It is carried out after so many live changes of the deployment, or when there are no more."""
    duration_s: float
    """How long the process stays dead, or the pause lasts."""

    def __str__(self) -> str:
        return f"{self.kind}@{self.after_changes}"


@dataclass(frozen=True, slots=True)
class SecondDeployment:
    """Another deployment, of another bundle, requested while the first may be in progress."""

    after_s: float
    device_ids: tuple[str, ...]
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that is decided about one run before it starts."""

    seed: int
    devices: int
    mqtt: int
    """How many devices, the last ones, use MQTT."""
    strategy: Strategy
    faults: tuple[AnyFault, ...]
    faults_for_s: float
    """How long the faults last at most after the request."""
    actions: tuple[ChaosAction, ...]
    processes: int
    """How many processes of deploy run."""
    guard_s: float
    second: SecondDeployment | None

    @property
    def device_ids(self) -> list[str]:
        return _device_ids(self.seed, self.devices)

    @property
    def plan(self) -> FaultPlan:
        return FaultPlan(faults=list(self.faults))

    @property
    def alarm_devices(self) -> set[str]:
        """Return the devices that cause an alarm once they run the new bundle."""
        return {str(fault.devices) for fault in self.faults if isinstance(fault, TelemetryFault)}

    @property
    def devices_to_restart(self) -> list[str]:
        """Return the devices that may hold a bundle that deploy does not know of, until their next hello.

        They lied, or handled a command to stage after the command to discard.
        """
        return [
            str(fault.devices)
            for fault in self.faults
            if isinstance(fault, LieSuccess) or (isinstance(fault, Slow) and fault.step == "stage")
        ]

    def __str__(self) -> str:
        strategy = self.strategy
        parts = [
            f"canary {strategy.canary}, batches of {strategy.batch_size or 'all'}, may fail {strategy.max_failures}",
            ", ".join(_name(fault) for fault in self.faults) or "no faults",
            ", ".join(map(str, self.actions)) or "nothing killed",
            f"{self.processes} deploy",
            *([f"a second to {len(self.second.device_ids)}"] if self.second else []),
        ]
        return " | ".join(parts)


def generate_scenario(seed: int, devices: int = 100) -> Scenario:
    """Return the scenario of a seed; the same seed and number of devices give the same scenario."""
    rng = Random(f"{seed}:{devices}")
    return Scenario(
        seed=seed,
        devices=devices,
        mqtt=round(devices * rng.choice((0.0, 0.2))),
        strategy=_strategy(rng, devices),
        faults=_faults(rng, _device_ids(seed, devices)),
        faults_for_s=rng.uniform(*rng.choice(_FAULTS_FOR_S)),
        actions=_actions(rng, devices * CHANGES_A_DEVICE),
        processes=rng.choice((1, 1, 2)),
        guard_s=rng.choice((600.0, 600.0, 600.0, 1.0)),
        second=_second(rng, seed, devices) if rng.random() < 0.2 else None,
    )


def _second(rng: Random, seed: int, devices: int) -> SecondDeployment:
    chosen = rng.sample(_device_ids(seed, devices), rng.randint(1, devices))
    return SecondDeployment(rng.uniform(0.0, 6.0), tuple(sorted(chosen)), _strategy(rng, devices))


def _device_ids(seed: int, devices: int) -> list[str]:
    return [f"c{seed}-{number:04d}" for number in range(1, devices + 1)]


def _strategy(rng: Random, devices: int) -> Strategy:
    return Strategy(
        canary=rng.choice((0, 1, 5)),
        batch_size=rng.choice((None, None, max(devices // 2, 1), max(devices // 3, 1))),
        max_failures=rng.choice((0, rng.randint(1, max(devices // 5, 1)), f"{rng.randint(1, 20)}%")),
        observe_seconds=rng.choice((0.0, 0.1, 0.5)),
    )


def _actions(rng: Random, changes: int) -> tuple[ChaosAction, ...]:
    """Kill deploy in every run, each server in some runs, and let an operator intervene in some."""
    kinds: list[Kind] = ["deploy"]
    kinds.extend(kind for kind, share in _SHARES.items() if rng.random() < share)
    choice = rng.random()
    interventions: dict[Kind, float] = {"cancel": 0.1, "rollback": 0.2, "pause": 0.3}
    kinds.extend(islice((kind for kind, limit in interventions.items() if choice < limit), 1))
    actions = [ChaosAction(kind, rng.randint(0, changes), _duration_s(rng, kind)) for kind in kinds]
    return tuple(sorted(actions, key=lambda each: each.after_changes))


def _duration_s(rng: Random, kind: Kind) -> float:
    """Stall a process for longer than its leases last."""
    return rng.uniform(LEASE_S, LEASE_S + 1.5) if kind == "stall" else rng.uniform(0.0, 1.0)


def _faults(rng: Random, device_ids: list[str]) -> tuple[AnyFault, ...]:
    """Give each of some devices one fault."""
    chosen = rng.sample(device_ids, round(FAULTY_SHARE * len(device_ids)))
    faults: list[AnyFault] = []
    for device_id in chosen:
        kind = rng.choice(sorted(_FAULT_FIELDS))
        fields: dict[str, Any] = {"devices": device_id, "fault": kind, **_FAULT_FIELDS[kind](rng)}
        if rng.random() < 0.3:
            fields["repeat"] = "always"
        faults += FaultPlan.model_validate({"faults": [fields]}).faults
    return tuple(faults)


def _offline(rng: Random) -> dict[str, Any]:
    return {
        "step": rng.choice((*_VERBS, "start")),
        "for_s": rng.choice((rng.uniform(0.2, 2.0), _FOREVER_S)),
        "after_s": rng.choice((0.0, rng.uniform(0.0, 0.5))),
    }


def _slow(rng: Random) -> dict[str, Any]:
    speed = rng.choice((None, rng.uniform(10_000, 100_000)))
    return {"step": rng.choice(_VERBS), "for_s": rng.uniform(0.1, 3.0), "bytes_per_s": speed}


_FAULT_FIELDS: Final[dict[str, Callable[[Random], dict[str, Any]]]] = {
    "offline": _offline,
    "reject": lambda rng: {"step": rng.choice(_VERBS), "code": rng.choice(_CODES)},
    "slow": _slow,
    "mute": lambda rng: {"step": rng.choice(_VERBS)},
    "lie_success": lambda rng: {"step": rng.choice(("stage", "activate", "deactivate", "discard"))},
    "no_space": lambda _: {},
    "drop_at": lambda rng: {"byte": rng.randint(0, 20_000)},
    "corrupt": lambda rng: {"byte": rng.randint(0, 20_000)},
    "activate_error": lambda _: {},
    "crash_after_activate": lambda rng: {
        "comes_back": rng.choice(("old", "new")),
        "for_s": rng.uniform(0.1, 1.5),
    },
    "drift_ramp": lambda _: {},
    "overheat": lambda _: {},
    "low_fps": lambda _: {},
}


def _name(fault: AnyFault) -> str:
    step = getattr(fault, "step", None)
    often = " always" if fault.repeat == "always" else ""
    return f"{fault.fault}{f' at {step}' if step else ''}{often}"
