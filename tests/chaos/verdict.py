"""Was it right? What the devices hold, what the record says, and what must be left of neither."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from k1_contracts.messages.deployment_queries import DeploymentView
from k1_contracts.messages.deployments import ENDED, Strategy
from k1_deploy.saga.strategy import allowed_failures
from k1_simulator.device import DeviceState
from k1_simulator.event_log import FlashContents
from tests.chaos.scenarios import Scenario


@dataclass
class FlashWatch:
    """Hears of every change of every flash while the run lasts."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, holding: FlashContents) -> None:
        device_id = holding.device_id
        if holding.active is None:
            self.problems.append(f"{device_id} ran nothing after {holding.command_ids or 'a start'}")
        for sha256 in (holding.active, *holding.others):
            if sha256 and not (self.folder / device_id / f"{sha256}.k1b").exists():
                self.problems.append(f"{device_id} claims {sha256[:12]}, which is not on its flash")
        for command_id in holding.command_ids:
            self.effects[device_id, command_id] += 1

    def all_problems(self) -> list[str]:
        twice = [key for key, count in self.effects.items() if count > 1]
        return [
            *self.problems,
            *(f"{id_} did {command} {self.effects[id_, command]} times" for id_, command in twice),
        ]


@dataclass(frozen=True)
class Attempt:
    """A deployment as its record tells it at the end."""

    view: DeploymentView
    sha256: str
    strategy: Strategy

    @property
    def began(self) -> str:
        """Sorts deployments as they had their devices, one after the other; those that never had any last."""
        return next((line.at.isoformat() for line in self.view.log if line.text.startswith("holds ")), "~")


@dataclass(frozen=True)
class Evidence:
    """What was found when all had come to rest."""

    scenario: Scenario
    attempts: list[Attempt]
    states: Mapping[str, DeviceState]
    expected: Mapping[str, str | None]
    old: str
    watch: FlashWatch
    dead_letters: list[str]


def problems(evidence: Evidence) -> list[str]:
    """Everything that must not be; empty when all is well."""
    attempts = sorted(evidence.attempts, key=lambda attempt: attempt.began)
    records = [
        problem
        for number, attempt in enumerate(attempts)
        for problem in _record(evidence.scenario, attempt, attempts[number + 1 :])
    ]
    return [
        *evidence.watch.all_problems(),
        *(each for device_id in evidence.states for each in _device(evidence, attempts, device_id)),
        *records,
        *(f"dead letter: {letter}" for letter in evidence.dead_letters),
    ]


def _device(evidence: Evidence, attempts: list[Attempt], device_id: str) -> Iterator[str]:
    """What the last deployment left on it that was committed there, else what it ran at first."""
    right, said = evidence.old, [device_id]
    for attempt in attempts:
        for device in attempt.view.devices:
            if device.device_id == device_id:
                right = attempt.sha256 if device.outcome == "committed" else right
                said.append(f"{device.outcome} ({device.reason})")
    state = evidence.states[device_id]
    active = state.active.bundle_sha256 if state.active else None
    name = {attempt.sha256: "new" for attempt in attempts} | {evidence.old: "old", None: "no"}
    if active != right:
        yield f"{', '.join(said)} runs the {name.get(active, active)} bundle"
    expected = evidence.expected[device_id]
    if expected != right:
        yield f"{', '.join(said)} is expected to run the {name.get(expected, expected)} bundle"


def _record(scenario: Scenario, attempt: Attempt, later: list[Attempt]) -> Iterator[str]:
    view = attempt.view
    if view.status not in ENDED:
        yield f"it is {view.status}"
    committed = {device.device_id for device in view.devices if device.outcome == "committed"}
    if view.status == "succeeded":
        guarded = {device.device_id for device in view.devices} & scenario.ailing - committed
        without = view.total - len(committed) - len(guarded)
        allowed = allowed_failures(attempt.strategy, view.total)
        if without > allowed:
            yield f"{without} devices are without the new bundle, {allowed} may be"
    elif left := committed - _committed(later):  # what a later one has changed is not taken back
        yield f"it is {view.status}, yet {len(left)} devices are committed"
    open_ = {"pending", "staging", "staged", "activating", "active", "rolling_back", "rollback_pending"}
    if view.status not in {"cancelled", "failed"}:
        open_outcomes = {device.outcome for device in view.devices} & open_
        if open_outcomes:
            yield f"it is {view.status} with devices that are {', '.join(sorted(open_outcomes))}"


def _committed(attempts: list[Attempt]) -> set[str]:
    return {
        device.device_id
        for attempt in attempts
        for device in attempt.view.devices
        if device.outcome == "committed"
    }
