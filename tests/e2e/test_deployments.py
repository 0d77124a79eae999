"""A show on devices: the whole system as `k1 up` starts it, with simulated K1s beside it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support import songs
from tests.support.system import System, until

pytestmark = pytest.mark.e2e

DEVICES = ["demo-0001", "demo-0002", "demo-0003"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with three simulated devices that are online."""
    system = System(tmp_path_factory.mktemp("stage"))
    system.cli("up", "--detach", "--sim-devices", str(len(DEVICES)))
    try:
        until(lambda: online(system) == DEVICES, "the devices are online")
        yield system
    finally:
        system.cli("down")


@pytest.fixture(scope="module")
def track(stage: System) -> str:
    """A song with a bundle."""
    accepted = stage.upload(songs.song(4711)).json()
    stage.await_end(accepted["job_id"])
    until(lambda: bundle(stage, accepted["track_id"]).status_code == 200, "its bundle is there")
    return accepted["track_id"]


def online(system: System) -> list[str]:
    return [device["id"] for device in system.get("/devices")["items"] if device["online"]]


def bundle(system: System, track_id: str) -> httpx.Response:
    return httpx.get(f"{system.url}/api/v1/tracks/{track_id}/versions/1/bundle", timeout=30)


def post(system: System, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{system.url}/api/v1/deployments", json=body, headers=headers, timeout=60)


def restart_devices(system: System) -> None:
    """`kill -9` their process, which is looked after; they come back with the credentials they are given now."""
    (before,) = system.stack.simulated
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: system.stack.simulated[0].pid not in {None, before.pid}, "it starts again")
    until(lambda: online(system) == DEVICES, "all are online again")


def running(system: System) -> set[str | None]:
    """The hashes of the bundles that the devices run."""
    items = system.get("/devices")["items"]
    return {(item.get("running") or {}).get("bundle_sha256") for item in items if not item.get("revoked_at")}


def test_a_show_reaches_the_devices(stage: System, track: str, tmp_path: Path) -> None:
    """`k1 deploy --watch` ends well when every device runs the bundle that the API names; the picture is drawn."""
    view = bundle(stage, track).json()
    assert [(each["device_id"], each["status"]) for each in view["compatibility"]] == [
        (device, "ok") for device in DEVICES
    ]
    dry = stage.cli("deploy", track, "--group", "demo", "--dry-run")
    assert dry.stdout.endswith("it would start\n")
    picture = tmp_path / "timeline.png"
    done = stage.cli(
        "deploy", track, "--group", "demo", "--canary", "1", "--observe", "1", "--watch", "--json",
        "--png", str(picture),
    )  # fmt: skip
    deployment = json.loads(done.stdout)
    assert (deployment["status"], deployment["counts"]) == ("succeeded", {"committed": 3})
    assert [device["batch"] for device in deployment["devices"]] == [1, 2, 2]
    assert picture.read_bytes().startswith(b"\x89PNG")
    until(lambda: running(stage) == {view["bundle"]["sha256"]}, "the devices say so themselves")
    listed = stage.get(f"/deployments?track_id={track}&device_id=demo-0002&status=succeeded")
    assert deployment["id"] in {item["id"] for item in listed["items"]}


def test_an_order_can_be_looked_at_once_it_is_accepted(stage: System, track: str) -> None:
    """Never a 404 after the 202; the same key is the same deployment; its stream ends when it does."""
    body = {"track_id": track, "version": 1, "group": "demo", "strategy": {"observe_seconds": 0.5}}
    accepted = post(stage, body, **{"Idempotency-Key": "once"})
    assert accepted.status_code == 202, accepted.text
    deployment_id = accepted.json()["deployment_id"]
    assert stage.get(f"/deployments/{deployment_id}")["requested_by"] == "operator"
    assert post(stage, body, **{"Idempotency-Key": "once"}).json() == accepted.json()
    url = f"{stage.url}/api/v1/deployments/{deployment_id}/events"
    text = httpx.get(url, timeout=60).text
    ends = [
        json.loads(part.split("data: ")[1]) for part in text.split("\n\n") if part.startswith("event: dep")
    ]
    assert ends[-1]["status"] == "succeeded"
    listed = [item["id"] for item in stage.get(f"/deployments?track_id={track}&limit=200")["items"]]
    assert listed.count(deployment_id) == 1


def test_what_cannot_be_is_refused_at_once(stage: System, track: str) -> None:
    """With a code of its own each."""
    order = {"track_id": track, "version": 1, "device_ids": ["demo-0001"]}
    refusals = {
        "track_not_found": order | {"track_id": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"},
        "version_not_found": order | {"version": 7},
        "device_not_found": order | {"device_ids": ["demo-0001", "nobody"]},
        "group_not_found": {"track_id": track, "version": 1, "group": "nobody"},
        "gate_not_overridable": order
        | {"overrides": [{"gate": "presence", "reason": "it is there, I see it"}]},
    }
    answers = {code: post(stage, body) for code, body in refusals.items()}
    assert {code: answer.json()["code"] for code, answer in answers.items()} == {
        code: code for code in refusals
    }
    assert [answer.status_code for answer in answers.values()] == [404, 404, 404, 404, 422]


def test_killed_devices_come_back_with_what_they_held(stage: System, track: str) -> None:
    """The process of the simulated devices is looked after, and each remembers its show."""
    sha256 = bundle(stage, track).json()["bundle"]["sha256"]
    stage.cli("deploy", track, "--group", "demo", "--observe", "0", "--watch")
    restart_devices(stage)
    assert running(stage) == {sha256}
    status = json.loads(stage.cli("status", "--json").stdout)
    assert status["simulated"] == [{"pid": stage.stack.simulated[0].pid, "devices": 3, "running": True}]
    assert psutil.pid_exists(status["simulated"][0]["pid"])


def test_a_revoked_device_takes_nothing(stage: System, track: str) -> None:
    """Cut off at once; a deployment to it alone is blocked and says why; a new credential brings it back."""
    stage.cli("devices", "revoke", "demo-0003")
    until(lambda: online(stage) == DEVICES[:2], "it is cut off")
    refused = post(stage, {"track_id": track, "version": 1, "device_ids": ["demo-0003"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "deployment_blocked")
    assert "demo-0003.presence" in {fault["name"] for fault in refused.json()["errors"]}
    done = stage.cli(
        "deploy", track, "--devices", "demo-0001,demo-0003", "--observe", "0", "--watch", check=False
    )
    assert done.returncode == 1
    assert "deployment_blocked" in done.stderr
    done = stage.cli(
        "deploy",
        track,
        "--devices",
        "demo-0001,demo-0003",
        "--observe",
        "0",
        "--max-failures",
        "1",
        "--watch",
    )
    assert "(1 blocked, 1 committed)" in done.stdout
    stage.cli("devices", "add", "demo-0003", "--renew", "--group", "demo")
    assert stage.get("/devices/demo-0003").get("revoked_at") is None
    restart_devices(stage)
