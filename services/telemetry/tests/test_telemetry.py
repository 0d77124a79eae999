"""The service as a real process."""

from pathlib import Path

import httpx

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service


def test_it_is_ready_counted_and_ends_cleanly(provisioned: Infrastructure, tmp_path: Path) -> None:
    """It connects to the broker, says so, serves metrics, and SIGTERM ends it with code 0."""
    with running_service("telemetry", provisioned.environment, tmp_path) as service:
        ready = httpx.get(f"{service.url}/readyz").json()
        metrics = httpx.get(f"{service.url}/metrics").text
    assert (ready["name"], ready["status"]) == ("telemetry", "ready")
    assert ready["checks"] == {"nats": "ok", "samples": "ok", "presence": "ok"}
    assert ready["role"] in {"leader", "standby"}
    assert 'k1_service_info{service="telemetry"' in metrics
    assert "k1_telemetry_leader" in metrics
    assert service.process.returncode == 0
