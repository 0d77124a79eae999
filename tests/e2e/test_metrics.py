"""What the running services expose is what dashboards and alerts query."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.system import System, wait_for

pytestmark = pytest.mark.e2e

MONITORING: Final = Path(__file__).parents[2] / "deploy" / "monitoring"
OF_PROMETHEUS: Final = frozenset({"up", "ALERTS"})
OF_ALERTMANAGER: Final = frozenset({"alertmanager_notifications_failed_total"})
OF_THE_PROBE: Final = frozenset({"probe_success", "probe_duration_seconds", "probe_ssl_earliest_cert_expiry"})
OF_NATS: Final = frozenset({"nats_stream_mirror_lag", "nats_stream_mirror_active_duration_ns"})
"""What the exporter of the NATS chart measures (prometheus-nats-exporter 0.20, `collector/jsz.go`)."""
TARGET_LABELS: Final = frozenset({"job", "instance", "le"})
"""Labels that Prometheus adds to every series, and the bounds of histograms."""


def rules() -> list[dict[str, Any]]:
    groups = [
        group
        for path in (MONITORING / "prometheus" / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[str]:
    """Yield every query of a rule or a dashboard."""
    for rule in rules():
        yield rule["expr"]
    for path in (MONITORING / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel.get("targets", []))


def selectors(query: str) -> list[promql_parser.VectorSelector]:
    """Return the selectors of series in a query; those of ranges are within another node."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def exposed(system: System) -> dict[str, set[str]]:
    """Return the name of each series that a service exposes, with its labels; a metric without series has none."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",)}
    found: dict[str, set[str]] = {}
    for service in system.stack.services:
        text = httpx.get(f"http://127.0.0.1:{service.port}/metrics", timeout=60).text
        for family in text_string_to_metric_families(text):
            for suffix in suffixes.get(family.type, ("",)):
                found.setdefault(f"{family.name}{suffix}", set())
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_of_dashboards_and_rules_exists(system: System) -> None:
    """Some service exposes it, with the labels that the query selects by."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = exposed(system)
    wrong: list[str] = []
    checked: set[str] = set()
    for query in queries():
        for selector in selectors(query):
            if selector.name in recorded | OF_PROMETHEUS | OF_ALERTMANAGER | OF_THE_PROBE | OF_NATS:
                continue
            checked.add(selector.name or "")
            labels = known.get(selector.name or "")
            if labels is None:
                wrong.append(f"no service exposes {selector.name}: {query}")
            elif (
                missing := {m.name for m in selector.matchers.matchers} - labels - TARGET_LABELS
                if labels
                else None
            ):
                wrong.append(f"{selector.name} has no label {missing}: {query}")
    assert wrong == []
    assert len(checked) > 50


def test_the_bus_and_the_databases_are_measured(system: System) -> None:
    """Each durable is measured by its service; no permission is missing, so the gauges have values."""

    def measured() -> dict[str, float] | None:
        values: dict[str, float] = {}
        for service in system.stack.services:
            text = httpx.get(f"http://127.0.0.1:{service.port}/metrics", timeout=60).text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    key = sample.labels.get("durable") or sample.labels.get("stream") or sample.name
                    values[f"{service.name} {key}"] = sample.value
        wanted = ("catalogue catalogue", "deploy deploy-devices", "analysis analysis-p5", "webhooks EVENTS")
        sized = values.get("catalogue k1_postgres_database_bytes", 0) > 0
        return values if sized and all(name in values for name in wanted) else None

    values = wait_for(measured, "the bus and the databases are measured")
    for service in system.stack.services:
        assert values[f"{service.name} k1_bus_connected"] == 1
        assert f"{service.name} k1_bus_dead_letters" in values
