"""Was it right? What the devices hold, what the record says, and what must be left of neither."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from k1_contracts.deployments import ENDED, DeploymentView
from k1_deploy.saga.strategy import allowed_failures
from k1_simulator.device import DeviceState
from k1_simulator.journal import Holding
from tests.chaos.scenarios import Scenario


@dataclass
class FlashWatch:
    """Hears of every change of every flash while the run lasts."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, holding: Holding) -> None:
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
class Evidence:
    """What was found when all had come to rest."""

    scenario: Scenario
    view: DeploymentView
    states: Mapping[str, DeviceState]
    expected: Mapping[str, str | None]
    old: str
    new: str
    watch: FlashWatch
    dead_letters: list[str]


def problems(evidence: Evidence) -> list[str]:
    """Everything that must not be; empty when all is well."""
    return [
        *evidence.watch.all_problems(),
        *_devices(evidence),
        *_record(evidence),
        *(f"dead letter: {letter}" for letter in evidence.dead_letters),
    ]


def _devices(evidence: Evidence) -> Iterator[str]:
    for device in evidence.view.devices:
        state = evidence.states[device.device_id]
        active = state.active.bundle_sha256 if state.active else None
        right = evidence.new if device.outcome == "committed" else evidence.old
        name = {evidence.new: "new", evidence.old: "old"}
        said = f"{device.device_id} ({device.outcome}: {device.reason})"
        if active != right:
            yield f"{said} runs the {name.get(active or '', str(active))} bundle"
        expected = evidence.expected[device.device_id]
        if expected != right:
            yield f"{said} is expected to run the {name.get(expected or '', str(expected))} bundle"


def _record(evidence: Evidence) -> Iterator[str]:
    view, scenario = evidence.view, evidence.scenario
    if view.status not in ENDED:
        yield f"it is {view.status}"
    committed = [device for device in view.devices if device.outcome == "committed"]
    if view.status == "succeeded":
        guarded = sum(
            device.device_id in scenario.ailing for device in view.devices if device not in committed
        )
        without = view.total - len(committed) - guarded
        allowed = allowed_failures(scenario.strategy, view.total)
        if without > allowed:
            yield f"{without} devices are without the new bundle, {allowed} may be"
    elif committed:
        yield f"it is {view.status}, yet {len(committed)} devices are committed"
    open_ = {"pending", "staging", "staged", "activating", "active", "rolling_back", "rollback_pending"}
    if view.status not in {"cancelled", "failed"}:
        open_outcomes = {device.outcome for device in view.devices} & open_
        if open_outcomes:
            yield f"it is {view.status} with devices that are {', '.join(sorted(open_outcomes))}"
