"""Chaos tests of deployments: whatever is killed and whatever devices do, each device ends up with the recorded bundle."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment
from k1_contracts.messages.deploy.deployments import ActivateNow, DeviceOutcome, Strategy
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_simulator.device import DeviceState
from k1_simulator.event_log import FlashContents
from tests.chaos.deployments.invariants import DeploymentResult, FinalState, FlashMonitor, find_violations
from tests.chaos.deployments.scenario_runner import ScenarioRunner, reproduction
from tests.chaos.deployments.scenarios import Scenario, generate_scenario

DEVICES = 100
OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture(scope="session")
def scenario_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScenarioRunner]:
    """Run all scenarios of a test process on one harness."""
    with ScenarioRunner(tmp_path_factory.mktemp("kept")) as runner:
        yield runner


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the test its seeds: more in a long run."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, 21 if metafunc.config.getoption("--long") else 2))


@pytest.mark.chaos
def test_a_deployment_survives_chaos(scenario_runner: ScenarioRunner, seed: int) -> None:
    """Every device runs the recorded bundle, was never without a bundle, and did nothing twice; nothing is left over."""
    report = scenario_runner.run(seed, DEVICES)
    assert not report.problems, "\n".join(
        [
            str(report),
            *report.problems,
            f"kept in {scenario_runner.kept}",
            f"again: {reproduction(seed, DEVICES)}",
        ]
    )


def test_a_seed_is_a_scenario() -> None:
    """The same seed gives the same scenario, another seed another one; every scenario kills deploy."""
    scenarios = [generate_scenario(seed) for seed in range(200)]
    assert scenarios == [generate_scenario(seed) for seed in range(200)]
    assert len({str(scenario) for scenario in scenarios}) == 200
    assert all(any(each.kind == "deploy" for each in scenario.actions) for scenario in scenarios)
    kinds_of_each = [{each.kind for each in scenario.actions} for scenario in scenarios]
    assert any({"deploy", "nats", "postgres"} <= kinds for kinds in kinds_of_each)
    assert {fault.fault for scenario in scenarios for fault in scenario.faults} == {
        "offline", "reject", "slow", "mute", "lie_success", "no_space", "drop_at", "corrupt",
        "activate_error", "crash_after_activate", "drift_ramp", "overheat", "low_fps",
    }  # fmt: skip


# ---------------------------------------------------------------------- the checks can fail


def _scenario() -> Scenario:
    return replace(generate_scenario(1, devices=2), faults=())


def _state(device_id: str, active: str | None) -> DeviceState:
    bundle = RunningBundle(bundle_sha256=active) if active else None
    return DeviceState(device_id, True, bundle, (), 0, None, None, None)


def _final_state(
    folder: Path, status: str, outcomes: list[DeviceOutcome], runs: list[str], expected: list[str]
) -> FinalState:
    now = datetime.now(UTC)
    ids = [f"d{number}" for number in range(len(outcomes))]
    view = DeploymentView.model_validate(
        {
            "id": "dep_" + "0" * 26,
            "track_id": "trk_" + "0" * 26,
            "version": 1,
            "status": status,
            "requested_by": "chaos",
            "total": len(ids),
            "counts": Counter(outcomes),
            "created_at": now,
            "updated_at": now,
            "strategy": Strategy(),
            "activation": ActivateNow(),
            "overrides": [],
            "checks": [],
            "devices": [DeviceDeployment(device_id=i, outcome=o) for i, o in zip(ids, outcomes, strict=True)],
            "log": [],
            "audit": [],
        }
    )
    states = {id_: _state(id_, active) for id_, active in zip(ids, runs, strict=True)}
    return FinalState(
        scenario=_scenario(),
        results=[DeploymentResult(view, NEW, Strategy(max_failures=1))],
        states=states,
        expected=dict(zip(ids, expected, strict=True)),
        old=OLD,
        flash_monitor=FlashMonitor(folder),
        dead_letters=[],
    )


@pytest.mark.parametrize(
    ("wrong", "status", "outcomes", "runs", "expected"),
    [
        (None, "succeeded", ["committed", "discarded"], [NEW, OLD], [NEW, OLD]),
        (None, "rolled_back", ["rolled_back"] * 2, [OLD, OLD], [OLD, OLD]),
        ("runs the new bundle", "rolled_back", ["rolled_back"] * 2, [OLD, NEW], [OLD, OLD]),
        ("runs the old bundle", "succeeded", ["committed"] * 2, [NEW, OLD], [NEW, NEW]),
        ("expected to run the old", "succeeded", ["committed"] * 2, [NEW, NEW], [NEW, OLD]),
        ("2 devices are without", "succeeded", ["discarded"] * 2, [OLD, OLD], [OLD, OLD]),
        ("1 devices are committed", "rolled_back", ["committed", "rolled_back"], [NEW, OLD], [NEW, OLD]),
        ("it is staging", "staging", ["staging"] * 2, [OLD, OLD], [OLD, OLD]),
        ("with devices that are active", "succeeded", ["committed", "active"], [NEW, OLD], [NEW, OLD]),
    ],
)  # fmt: skip
def test_a_wrong_final_state_is_a_violation(
    tmp_path: Path,
    *,
    wrong: str | None,
    status: str,
    outcomes: list[DeviceOutcome],
    runs: list[str],
    expected: list[str],
) -> None:
    found = find_violations(_final_state(tmp_path, status, outcomes, runs, expected))
    assert (found == []) if wrong is None else any(wrong in violation for violation in found), found


def test_a_wrong_change_on_the_way_is_a_violation(tmp_path: Path) -> None:
    """A device without a bundle, one whose bundle is not on its flash, and a command that was done twice."""
    (tmp_path / "d0").mkdir()
    (tmp_path / "d0" / f"{OLD}.k1b").write_bytes(b"show")
    monitor = FlashMonitor(tmp_path)
    monitor(FlashContents("d0", OLD, ()))
    monitor(FlashContents("d0", OLD, (), ("c1",)))
    assert monitor.violations() == []
    monitor(FlashContents("d0", None, (OLD,), ("c2",)))
    monitor(FlashContents("d0", OLD, (NEW,), ("c1",)))
    assert len(monitor.violations()) == 3
