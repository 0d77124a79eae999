"""Prints a configuration of Prometheus that scrapes a system started by `./k1 up`.

`.venv/bin/python -m tools.local_prometheus [HOME] > prometheus.yml`; the rules are those of `deploy/monitoring`.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from k1_cli.stack.running_stack import require_stack

RULES: Final = Path(__file__).parents[1] / "deploy" / "monitoring" / "prometheus" / "rules"


def configuration(home: Path) -> dict[str, Any]:
    """Return the configuration for the running system of a home.

    Raises:
        StackError: no system runs there.
    """
    jobs = [
        {"job_name": service.name, "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}
        for service in require_stack(home).services
    ]
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [f"{RULES}/*.yml"],
        "scrape_configs": jobs,
    }


if __name__ == "__main__":
    print(yaml.safe_dump(configuration(Path(*sys.argv[1:2] or [".k1"])), sort_keys=False), end="")
