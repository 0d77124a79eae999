"""`k1 jobs`: what is printed, and what is sent."""

import json
from typing import Any

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.golden import GOLDEN
from cli.tests.stub_gateway import ReceivedRequest, StubGateway

JOB: dict[str, Any] = json.loads((GOLDEN / "JobView/v3.json").read_text())
ID: str = JOB["job_id"]
WAITING = {**JOB, "status": "queued", "queue_position": 2, "percent": 0.0}


def test_list(gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each line has the song's title, and a waiting job its place; the filter is sent."""
    gateway.on("GET /analysis/jobs", (200, {"total": 7, "items": [WAITING]}))
    gateway.on(f"GET /tracks/{JOB['track_id']}", (200, {"track": {"title": "Night Drive"}}))
    done = run_k1(capfd, "jobs", "list", "--status", "queued", "--home", home)
    assert done.returncode == 0, done.stderr
    assert "Night Drive" in done.stdout
    assert "queued, place 2" in done.stdout
    assert "1 of 7 jobs" in done.stdout
    assert gateway.requests[0].query == {"limit": ["20"], "status": ["queued"]}


def test_show_finds_a_job_by_its_prefix(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Cost and log are shown."""
    gateway.on("GET /analysis/jobs", (200, {"total": 1, "items": [JOB]}))
    gateway.on(f"GET /analysis/jobs/{ID}", (200, JOB))
    done = run_k1(capfd, "jobs", "show", ID[:12], "--home", home)
    assert done.returncode == 0, done.stderr
    assert "cost.inference_s: 0.75" in done.stdout
    assert "    12:30:14 decode" in done.stdout
    done = run_k1(capfd, "jobs", "show", "job_9", "--home", home)
    assert done.returncode == 1
    assert 'there is no job "job_9"' in done.stderr


def test_priority_retry_and_cancel(
    gateway: StubGateway, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The priority is sent, and the new job of a retry is named."""

    def move(request: ReceivedRequest) -> tuple[int, Any]:
        return 200, WAITING | json.loads(request.body)

    again = {"job_id": ID[:-1] + "9", "version": 2, "queue_position": 1}
    gateway.on(f"PATCH /analysis/jobs/{ID}", move)
    gateway.on(f"POST /analysis/jobs/{ID}/retry", (202, again))
    gateway.on(f"DELETE /analysis/jobs/{ID}", (200, JOB | {"status": "cancelled"}))
    assert "priority: 9" in run_k1(capfd, "jobs", "priority", ID, "9", "--home", home).stdout
    assert again["job_id"] in run_k1(capfd, "jobs", "retry", ID, "--home", home).stdout
    assert "status: cancelled" in run_k1(capfd, "jobs", "cancel", ID, "--home", home).stdout
