"""The service as a real process."""

from pathlib import Path
from typing import Any

import httpx

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, wait_until

CHECKS = {"nats", "postgres", "objects", "deploy", "deploy-devices"}


def test_it_is_ready_serves_metrics_and_ends_cleanly(migrated: Infrastructure, tmp_path: Path) -> None:
    """It reaches its dependencies, is ready, serves metrics, and SIGTERM ends it with code 0."""
    with running_service("deploy", migrated.environment, tmp_path) as service:

        def response_when_ready() -> dict[str, Any]:
            response = httpx.get(f"{service.url}/readyz", timeout=PATIENCE_S).json()
            assert response["status"] == "ready", response
            return response

        ready = wait_until(response_when_ready, "deploy is ready", retry_on=(AssertionError,))
        metrics = httpx.get(f"{service.url}/metrics", timeout=PATIENCE_S).text
    assert (ready["name"], ready["status"]) == ("deploy", "ready")
    assert {name for name, outcome in ready["checks"].items() if outcome == "ok"} >= CHECKS
    assert 'k1_service_info{service="deploy"' in metrics
    assert service.process.returncode == 0
