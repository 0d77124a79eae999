"""The files below `deploy/monitoring`: rules that Prometheus accepts, alerts that fire, dashboards that are current."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.servers.debian_packages import unpacked
from tools.dashboards.__main__ import FOLDER
from tools.dashboards.definitions import DASHBOARDS
from tools.dashboards.panels import render
from tools.prometheus_rule import RESOURCE
from tools.prometheus_rule import render as render_rule

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((MONITORING / "prometheus" / "tests").glob("*.yml"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _alerts() -> dict[str, dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_prometheus_accepts_the_configuration_and_every_alert_fires_when_it_should() -> None:
    """And not when it should not: promtool evaluates the rules on recorded series."""
    promtool = unpacked("prometheus", "promtool")
    _run(promtool, "check", "config", str(MONITORING / "prometheus" / "prometheus.yml"))
    _run(promtool, "test", "rules", *map(str, TESTS))


@pytest.mark.parametrize("alert", sorted(_alerts()))
def test_an_alert_is_tested_and_explained(alert: str) -> None:
    """It has a case that fires and, unless it always fires, one that does not, and a runbook that names it."""
    cases = [
        case
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {bool(case["exp_alerts"]) for case in cases} == ({True} if alert == "Watchdog" else {True, False})
    rule = _alerts()[alert]
    assert rule["labels"]["severity"] in {"page", "ticket", "none"}
    assert f"`{alert}`" in (ROOT / rule["annotations"]["runbook"]).read_text("utf-8")


def test_no_runbook_is_about_an_alert_that_does_not_exist() -> None:
    """Renaming or removing an alert reaches its runbook."""
    used = {ROOT / rule["annotations"]["runbook"] for rule in _alerts().values()}
    assert used == set((ROOT / "docs" / "runbooks").glob("*.md"))


def test_the_blackbox_exporter_accepts_the_probe() -> None:
    """Its own check of the configuration passes."""
    exporter = unpacked("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
    _run(exporter, "--config.check", f"--config.file={MONITORING / 'blackbox' / 'blackbox.yml'}")


def test_the_dashboards_are_current() -> None:
    """The committed files are what `python -m tools.dashboards` writes, and there are no others."""
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    assert written == {f"{each.uid}.json": render(each) for each in DASHBOARDS}


def test_the_resources_of_a_cluster_are_current() -> None:
    """The operator gets the same rules, and every dashboard is in a ConfigMap."""
    assert RESOURCE.read_text("utf-8") == render_rule()
    kustomization = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())
    files = {name for made in kustomization["configMapGenerator"] for name in made["files"]}
    assert files == {f"grafana/dashboards/{each.uid}.json" for each in DASHBOARDS}


def test_panels_do_not_overlap() -> None:
    """Each cell of the grid belongs to one panel."""
    for path in FOLDER.glob("*.json"):
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in json.loads(path.read_text())["panels"]):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert max(x for x, _ in cells) < 24
            assert not cells & taken, path.name
            taken |= cells


def test_scrapes_cover_every_service() -> None:
    """A new service must be added to the jobs."""
    jobs = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists()}
    assert services <= {job["job_name"] for job in jobs}
    assert all(re.fullmatch(r"[a-z]+", job["job_name"]) for job in jobs)
