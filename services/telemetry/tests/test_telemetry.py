"""Tests the service as a real process."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, wait_until


def _ready(service: RunningService) -> dict[str, Any]:
    """Wait until the service is ready and return its response; a check that takes too long may fail first."""

    def response_when_ready() -> dict[str, Any]:
        response = httpx.get(f"{service.url}/readyz", timeout=PATIENCE_S)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    return wait_until(response_when_ready, "telemetry is ready", retry_on=(AssertionError,))


@pytest.mark.usefixtures("no_presence")
def test_the_service_becomes_ready_serves_metrics_and_stops_cleanly(
    service_environment: dict[str, str], tmp_path: Path
) -> None:
    """It connects to the broker, reports that it is ready, serves metrics, and exits with code 0 on SIGTERM."""
    with running_service("telemetry", service_environment, tmp_path) as service:
        ready = _ready(service)
        metrics = httpx.get(f"{service.url}/metrics", timeout=PATIENCE_S).text
    assert (ready["name"], ready["status"]) == ("telemetry", "ready")
    assert ready["checks"] == {
        "nats": "ok",
        "postgres": "ok",
        "samples": "ok",
        "store": "ok",
        "presence": "ok",
        "events": "ok",
    }
    assert ready["role"] in {"leader", "standby"}
    assert 'k1_service_info{service="telemetry"' in metrics
    assert "k1_telemetry_leader" in metrics
    assert service.process.returncode == 0
