"""Reports one run: a line for people, and the files that are kept of a failed run."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from k1_contracts.messages.deploy.deployment_queries import DeploymentView
from k1_simulator.device import DeviceState
from tests.chaos.deployments.scenarios import Scenario


@dataclass(frozen=True)
class RunReport:
    """The report of one run, which has passed if there are no problems."""

    scenario: Scenario
    seconds: float
    problems: list[str]
    views: list[DeploymentView]
    states: dict[str, DeviceState]
    timeline: list[str]

    def keep(self, folder: Path, logs: Sequence[Path]) -> None:
        """Write all that a person needs to find out what happened, and copy the logs."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "problems.txt").write_text("\n".join(self.problems) + "\n")
        (folder / "scenario.txt").write_text(f"{self.scenario!r}\n")
        (folder / "timeline.txt").write_text("\n".join(self.timeline) + "\n")
        for number, view in enumerate(self.views, start=1):
            (folder / f"deployment-{number}.json").write_text(view.model_dump_json(indent=1))
        states = {device_id: asdict(state) for device_id, state in self.states.items()}
        (folder / "devices.json").write_text(json.dumps(states, indent=1, default=str))
        for log in logs:
            shutil.copy(log, folder)

    def __str__(self) -> str:
        result = "FAIL" if self.problems else "ok  "
        ends = ", ".join(f"{view.status} ({_counts(view)})" for view in self.views)
        return f"{self.scenario.seed:>6} {result} {self.seconds:5.1f} s  {ends}  {self.scenario}"


def _counts(view: DeploymentView) -> str:
    return " ".join(f"{name} {count}" for name, count in sorted(view.counts.items()))
