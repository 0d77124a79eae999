"""Checks the invariants of a run: devices, deployment records and dead letters must agree at the end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from k1_contracts.messages.deploy.deployment_queries import DeploymentView
from k1_contracts.messages.deploy.deployments import ENDED, Strategy
from k1_deploy.saga.strategy import allowed_failures
from k1_simulator.device import DeviceState
from k1_simulator.event_log import FlashContents
from tests.chaos.deployments.scenarios import Scenario


@dataclass
class FlashMonitor:
    """Checks every change of the flash of every device during a run."""

    folder: Path
    _violations: list[str] = field(default_factory=list)
    _effects: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, flash: FlashContents) -> None:
        device_id = flash.device_id
        if flash.active is None:
            self._violations.append(f"{device_id} ran nothing after {flash.command_ids or 'a start'}")
        for sha256 in (flash.active, *flash.others):
            if sha256 and not (self.folder / device_id / f"{sha256}.k1b").exists():
                self._violations.append(f"{device_id} claims {sha256[:12]}, which is not on its flash")
        for command_id in flash.command_ids:
            self._effects[device_id, command_id] += 1

    def violations(self) -> list[str]:
        """Return all violations so far; a command that took effect twice is one."""
        twice = [key for key, count in self._effects.items() if count > 1]
        return [
            *self._violations,
            *(f"{id_} did {command} {self._effects[id_, command]} times" for id_, command in twice),
        ]


@dataclass(frozen=True)
class DeploymentResult:
    """The record of a deployment at the end, with what was requested."""

    view: DeploymentView
    sha256: str
    strategy: Strategy

    @property
    def locked_at(self) -> str:
        """Return a sort key: when the deployment locked its devices; deployments that never did come last."""
        return next((line.at.isoformat() for line in self.view.log if line.text.startswith("holds ")), "~")


@dataclass(frozen=True)
class FinalState:
    """All that is checked once the system is quiescent."""

    scenario: Scenario
    results: list[DeploymentResult]
    states: Mapping[str, DeviceState]
    expected: Mapping[str, str | None]
    old: str
    """The hash of the bundle that every device ran at first."""
    flash_monitor: FlashMonitor
    dead_letters: list[str]


def find_violations(final_state: FinalState) -> list[str]:
    """Return one text per violated invariant."""
    results = sorted(final_state.results, key=lambda result: result.locked_at)
    records = [
        violation
        for number, result in enumerate(results)
        for violation in _check_record(final_state.scenario, result, results[number + 1 :])
    ]
    return [
        *final_state.flash_monitor.violations(),
        *(
            each
            for device_id in final_state.states
            for each in _check_device(final_state, results, device_id)
        ),
        *records,
        *(f"dead letter: {letter}" for letter in final_state.dead_letters),
    ]


def _check_device(final_state: FinalState, results: list[DeploymentResult], device_id: str) -> Iterator[str]:
    """Check that a device runs the bundle that was last committed on it, or else its first one."""
    right, outcomes = final_state.old, [device_id]
    for result in results:
        for device in result.view.devices:
            if device.device_id == device_id:
                right = result.sha256 if device.outcome == "committed" else right
                outcomes.append(f"{device.outcome} ({device.reason})")
    state = final_state.states[device_id]
    active = state.active.bundle_sha256 if state.active else None
    name = {result.sha256: "new" for result in results} | {final_state.old: "old", None: "no"}
    if active != right:
        yield f"{', '.join(outcomes)} runs the {name.get(active, active)} bundle"
    expected = final_state.expected[device_id]
    if expected != right:
        yield f"{', '.join(outcomes)} is expected to run the {name.get(expected, expected)} bundle"


def _check_record(
    scenario: Scenario, result: DeploymentResult, later: list[DeploymentResult]
) -> Iterator[str]:
    view = result.view
    if view.status not in ENDED:
        yield f"it is {view.status}"
    committed = {device.device_id for device in view.devices if device.outcome == "committed"}
    if view.status == "succeeded":
        guarded = {device.device_id for device in view.devices} & scenario.alarm_devices - committed
        without = view.total - len(committed) - len(guarded)
        allowed = allowed_failures(result.strategy, view.total)
        if without > allowed:
            yield f"{without} devices are without the new bundle, {allowed} may be"
    elif left := committed - _committed(
        later
    ):  # a rollback does not undo what a later deployment has changed
        yield f"it is {view.status}, yet {len(left)} devices are committed"
    open_ = {"pending", "staging", "staged", "activating", "active", "rolling_back", "rollback_pending"}
    if view.status not in {"cancelled", "failed"}:
        open_outcomes = {device.outcome for device in view.devices} & open_
        if open_outcomes:
            yield f"it is {view.status} with devices that are {', '.join(sorted(open_outcomes))}"


def _committed(results: list[DeploymentResult]) -> set[str]:
    return {
        device.device_id
        for result in results
        for device in result.view.devices
        if device.outcome == "committed"
    }
