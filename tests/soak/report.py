"""The report of a soak, as text and as JSON."""

import platform
from dataclasses import asdict, dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Report:
    """What was done, what was killed, and what is wrong."""

    seed: int
    minutes: float
    done: dict[str, int]
    kills: dict[str, int]
    slowest_restart_s: float
    resources: dict[str, Any]
    violations: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `--report`."""
        machine = {"cores": psutil.cpu_count(), "system": platform.platform()}
        return {"passed": not self.violations, "machine": machine, **asdict(self)}

    def text(self) -> str:
        """Return the report for a terminal."""
        lines = [
            f"soak of {self.minutes:.1f} minutes, seed {self.seed}: {'FAILED' if self.violations else 'passed'}",
            "done:   " + ", ".join(f"{count} {name}" for name, count in self.done.items()),
            f"killed: {sum(self.kills.values())} ("
            + ", ".join(f"{n} {c}" for n, c in self.kills.items())
            + ")",
            f"slowest restart until every service was ready: {self.slowest_restart_s:.1f} s",
            "",
            f"{'process':12} {'observed':>9} {'memory, MB':>16} {'open files':>12}",
        ]
        for name, row in self.resources.items():
            memory = "{:.1f} -> {:.1f}".format(*row["memory_mb"])
            files = "{:.0f} -> {:.0f}".format(*row["open_files"])
            lines.append(f"{name:12} {row['lasted_s']:>7} s {memory:>16} {files:>12}")
        return "\n".join([*lines, *(f"VIOLATED: {each}" for each in self.violations)])
