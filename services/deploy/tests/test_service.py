"""The service as a real process."""

import time
from pathlib import Path

import httpx

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service

CHECKS = {"nats", "postgres", "objects", "deploy", "deploy-devices"}
PATIENCE_S = 60.0


def test_it_is_ready_serves_metrics_and_ends_cleanly(migrated: Infrastructure, tmp_path: Path) -> None:
    """It reaches its dependencies, is ready, serves metrics, and SIGTERM ends it with code 0."""
    with running_service("deploy", migrated.environment, tmp_path) as service:
        deadline = time.monotonic() + PATIENCE_S
        while (ready := httpx.get(f"{service.url}/readyz", timeout=PATIENCE_S).json())["status"] != "ready":
            assert time.monotonic() < deadline, ready
        metrics = httpx.get(f"{service.url}/metrics", timeout=PATIENCE_S).text
    assert (ready["name"], ready["status"]) == ("deploy", "ready")
    assert {name for name, outcome in ready["checks"].items() if outcome == "ok"} >= CHECKS
    assert 'k1_service_info{service="deploy"' in metrics
    assert service.process.returncode == 0
