"""Deployments under fire: whatever is killed and whatever devices do, each ends up running what the record says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k1_contracts.messages.deployment_queries import DeploymentView, DeviceDeployment
from k1_contracts.messages.deployments import ActivateNow, Strategy
from k1_contracts.messages.device_link import RunningBundle
from k1_simulator.device import DeviceState
from k1_simulator.event_log import FlashContents
from tests.chaos.deployments import Stage, reproduction
from tests.chaos.scenarios import Scenario, draw
from tests.chaos.verdict import Attempt, Evidence, FlashWatch, problems

DEVICES = 100
OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("kept")) as stage:
        yield stage


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_deployment_under_fire(stage: Stage, seed: int) -> None:
    """Every device runs what the record says, was never without a bundle, and did nothing twice; nothing is left behind."""
    report = stage.run(seed, DEVICES)
    assert not report.problems, "\n".join(
        [str(report), *report.problems, f"kept in {stage.kept}", f"again: {reproduction(seed, DEVICES)}"]
    )


def test_a_seed_is_a_scenario() -> None:
    """The same seed gives the same run, another one another; every run kills deploy."""
    drawn = [draw(seed) for seed in range(200)]
    assert drawn == [draw(seed) for seed in range(200)]
    assert len({str(scenario) for scenario in drawn}) == 200
    assert all(any(each.kind == "deploy" for each in scenario.disturbances) for scenario in drawn)
    together = [{each.kind for each in scenario.disturbances} for scenario in drawn]
    assert any({"deploy", "nats", "postgres"} <= kinds for kinds in together)
    assert {fault.fault for scenario in drawn for fault in scenario.faults} == {
        "offline", "reject", "slow", "mute", "lie_success", "no_space", "drop_at", "corrupt",
        "activate_error", "crash_after_activate", "drift_ramp", "overheat", "low_fps",
    }  # fmt: skip


# ---------------------------------------------------------------------- the judge can say no


def _scenario(**changes: object) -> Scenario:
    return replace(draw(1, devices=2), faults=(), **changes)


def _state(device_id: str, active: str | None) -> DeviceState:
    bundle = RunningBundle(bundle_sha256=active) if active else None
    return DeviceState(device_id, True, bundle, (), 0, None, None, None)


def _evidence(
    folder: Path, status: str, outcomes: list[str], runs: list[str], expected: list[str]
) -> Evidence:
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
    return Evidence(
        scenario=_scenario(),
        attempts=[Attempt(view, NEW, Strategy(max_failures=1))],
        states=states,
        expected=dict(zip(ids, expected, strict=True)),
        old=OLD,
        watch=FlashWatch(folder),
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
def test_the_judge_sees_a_wrong_end(
    tmp_path: Path,
    *,
    wrong: str | None,
    status: str,
    outcomes: list[str],
    runs: list[str],
    expected: list[str],
) -> None:
    found = problems(_evidence(tmp_path, status, outcomes, runs, expected))
    assert (found == []) if wrong is None else any(wrong in problem for problem in found), found


def test_the_judge_sees_what_happened_on_the_way(tmp_path: Path) -> None:
    """A device without a bundle, one whose bundle is not on its flash, and a command that was done twice."""
    (tmp_path / "d0").mkdir()
    (tmp_path / "d0" / f"{OLD}.k1b").write_bytes(b"show")
    watch = FlashWatch(tmp_path)
    watch(FlashContents("d0", OLD, ()))
    watch(FlashContents("d0", OLD, (), ("c1",)))
    assert watch.all_problems() == []
    watch(FlashContents("d0", None, (OLD,), ("c2",)))
    watch(FlashContents("d0", OLD, (NEW,), ("c1",)))
    assert len(watch.all_problems()) == 3
