"""The service as a real process."""

from pathlib import Path

import httpx

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service

CHECKS = {"nats", "postgres", "objects", "deploy", "deploy-devices"}


def test_it_is_ready_counted_and_ends_cleanly(migrated: Infrastructure, tmp_path: Path) -> None:
    """It reaches all that it needs, says so, serves metrics, and SIGTERM ends it with code 0."""
    with running_service("deploy", migrated.environment, tmp_path) as service:
        ready = httpx.get(f"{service.url}/readyz").json()
        metrics = httpx.get(f"{service.url}/metrics").text
    assert (ready["name"], ready["status"]) == ("deploy", "ready")
    assert {name for name, outcome in ready["checks"].items() if outcome == "ok"} >= CHECKS
    assert 'k1_service_info{service="deploy"' in metrics
    assert service.process.returncode == 0
