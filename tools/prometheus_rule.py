"""Writes the rules of `deploy/monitoring/prometheus/rules` as the resource that the Prometheus operator reads.

`.venv/bin/python -m tools.prometheus_rule`, after each change of a rule.
"""

from pathlib import Path
from typing import Any, Final

import yaml

MONITORING: Final = Path(__file__).parents[1] / "deploy" / "monitoring"
RESOURCE: Final = MONITORING / "kubernetes" / "prometheus-rule.yaml"
_HEAD: Final = "# Made from ../prometheus/rules by `python -m tools.prometheus_rule`.\n"


def render() -> str:
    """Return the resource with the groups of all files, in the order of their names."""
    groups: list[dict[str, Any]] = []
    for path in sorted((MONITORING / "prometheus" / "rules").glob("*.yml")):
        groups += yaml.safe_load(path.read_text("utf-8"))["groups"]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "k1"},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(resource, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    RESOURCE.write_text(render(), "utf-8")
