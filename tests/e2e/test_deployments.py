"""Deploys shows to simulated devices on the whole system."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from tests.support import songs
from tests.support.documents.generators import CLIENT, OPENAPI, python_client
from tests.support.processes import running_process
from tests.support.system import System, wait_for
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e

DEVICES = ["demo-0001", "demo-0002", "demo-0003"]
CALLS: Final = (
    *("tracks.upload_track", "tracks.get_track", "tracks.list_tracks", "tracks.get_genesis"),
    *("graphs.get_graph", "graphs.put_graph", "graphs.simulate_graph", "analysis.get_job"),
    *("deployments.request_deployment", "deployments.get_deployment", "deployments.rollback_deployment"),
)
SLOW_MACHINE: Final = re.compile(
    r"did not answer|is not connected|deadline_passed|clock could not be measured|did not say what it holds|\bsilen"
)
"""Reasons with which a deployment rightly fails when the machine is so slow that devices do not reply in time."""
GATEWAY_WAIT_S: Final = 5.0
"""How long the gateway waits for deploy to store a deployment before it responds."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system with three simulated devices, and wait until they are online."""
    system = System(tmp_path_factory.mktemp("devices"))
    system.cli("up", "--detach", "--sim-devices", str(len(DEVICES)))
    try:
        wait_for(lambda: online_devices(system) == DEVICES, "the devices are online")
        yield system
    finally:
        system.cli("down")
    system.assert_within_permissions()


@pytest.fixture(scope="module")
def track(system: System) -> str:
    """Upload a song, and wait for its bundle."""
    accepted = system.upload_with_retry(songs.song(4711)).json()
    system.wait_for_job(accepted["job_id"])
    wait_for(lambda: get_bundle(system, accepted["track_id"]).status_code == 200, "its bundle is ready")
    return accepted["track_id"]


def online_devices(system: System) -> list[str]:
    """Return the devices that can be deployed to: online, and known by their hello."""
    items = system.get("/devices")["items"]
    return [device["id"] for device in items if device["online"] and device.get("firmware")]


def get_bundle(system: System, track_id: str) -> httpx.Response:
    return httpx.get(f"{system.url}/api/v1/tracks/{track_id}/versions/1/bundle", timeout=30)


def post_deployment(system: System, body: Any, **headers: str) -> httpx.Response:
    """Request a deployment; return the response."""
    return system.request("POST", "/deployments", json=body, headers=headers)


def request_deployment(system: System, body: Any, **headers: str) -> httpx.Response:
    """Request a deployment; wait for a device that went offline just before."""

    def accepted() -> httpx.Response | None:
        response = post_deployment(system, body, **headers)
        blocked = response.status_code == 409 and response.json()["code"] == "deployment_blocked"
        gates = (
            {fault["name"].rpartition(".")[2] for fault in response.json()["errors"]} if blocked else set()
        )
        return None if gates == {"presence"} else response

    return wait_for(accepted, "the devices are online")


def deploy(system: System, track: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `k1 deploy --watch` until it succeeds; repeat it if devices were too slow."""

    def ended() -> subprocess.CompletedProcess[str] | None:
        wait_for(
            lambda: len(online_devices(system)) == len(system.get("/devices")["items"]),
            "the devices are online",
        )
        done = system.cli("deploy", track, *options, "--watch", check=False)
        output = " ".join((done.stdout + done.stderr).split())
        if done.returncode and SLOW_MACHINE.search(output):
            return None
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
        return done

    return wait_for(ended, "the show is on the devices")


def last_hellos(system: System) -> dict[str, datetime]:
    """Return the time of each device's last hello, by the clock of the broker."""
    rows = system.sql("SELECT id, hello_at FROM deploy.devices WHERE hello_at IS NOT NULL")
    return {row["id"]: row["hello_at"] for row in rows}


def restart_devices(system: System) -> None:
    """Kill the process of the devices; the supervisor restarts it with the current credentials.

    Dead devices count as online for some seconds, so wait for a message after the new hello of each.
    """
    (before,) = system.stack.simulated
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    hellos_before = last_hellos(system)
    wait_for(lambda: system.stack.simulated[0].pid not in {None, before.pid}, "it starts again")
    wait_for(
        lambda: all(last_hellos(system)[name] > hellos_before[name] for name in DEVICES),
        "all have sent a new hello",
    )
    hellos = last_hellos(system)

    def back() -> bool:
        seen = {device["id"]: device.get("last_seen") for device in system.get("/devices")["items"]}
        received = all(seen[name] and datetime.fromisoformat(seen[name]) > hellos[name] for name in DEVICES)
        return received and online_devices(system) == DEVICES

    wait_for(back, "all are online again")


def running_bundles(system: System) -> set[str | None]:
    """Return the hashes of the bundles that the devices run."""
    items = system.get("/devices")["items"]
    return {(item.get("running") or {}).get("bundle_sha256") for item in items if not item.get("revoked_at")}


def test_a_show_reaches_the_devices(system: System, track: str, tmp_path: Path) -> None:
    """`k1 deploy --watch` succeeds when every device runs the bundle of the API, and draws the timeline."""

    def fits() -> Any:
        view = system.get(f"/tracks/{track}/versions/1/bundle")
        found = [(each["device_id"], each["status"]) for each in view["compatibility"]]
        assert [(device, "ok" if status == "offline" else status) for device, status in found] == [
            (device, "ok") for device in DEVICES
        ]
        return view if all(status == "ok" for _, status in found) else None

    view = wait_for(fits, "every device is online and can run it")
    dry = ("deploy", track, "--group", "demo", "--dry-run")
    wait_for(
        lambda: system.cli(*dry, check=False).stdout.endswith("it would start\n"), "a dry run would start"
    )
    picture = tmp_path / "timeline.png"
    done = deploy(
        system, track, "--group", "demo", "--canary", "1", "--observe", "1", "--json", "--png", str(picture)
    )
    deployment = json.loads(done.stdout)
    assert (deployment["status"], deployment["counts"]) == ("succeeded", {"committed": 3})
    assert [device["batch"] for device in deployment["devices"]] == [1, 2, 2]
    assert picture.read_bytes().startswith(b"\x89PNG")
    wait_for(lambda: running_bundles(system) == {view["bundle"]["sha256"]}, "the devices report it")
    listed = system.get(f"/deployments?track_id={track}&device_id=demo-0002&status=succeeded")
    assert deployment["id"] in {item["id"] for item in listed["items"]}


def test_an_accepted_deployment_can_be_read_at_once(system: System, track: str) -> None:
    """Never a 404 after the 202; the same key is the same deployment; its stream ends when it does."""
    body = {"track_id": track, "version": 1, "group": "demo", "strategy": {"observe_seconds": 0.5}}
    wait_for(lambda: online_devices(system) == DEVICES, "the devices are online")
    began = time.monotonic()
    accepted = request_deployment(system, body, **{"Idempotency-Key": "once"})
    in_time = time.monotonic() - began < GATEWAY_WAIT_S
    assert accepted.status_code == 202, accepted.text
    deployment_id = accepted.json()["deployment_id"]
    url = f"{system.url}/api/v1/deployments/{deployment_id}"
    found = httpx.get(url, timeout=60)
    assert found.status_code != 404 or not in_time
    wait_for(lambda: httpx.get(url, timeout=60).status_code == 200, "deploy has stored it")
    assert system.get(f"/deployments/{deployment_id}")["requested_by"] == "operator"
    assert request_deployment(system, body, **{"Idempotency-Key": "once"}).json() == accepted.json()

    def events() -> list[Any]:
        text = httpx.get(f"{url}/events", timeout=60).text
        parts = [part for part in text.split("\n\n") if part.startswith("event: dep")]
        return [json.loads(part.split("data: ")[1]) for part in parts]

    end = wait_for(events, "its stream has ended")[-1]
    assert end["status"] == "succeeded" or SLOW_MACHINE.search(end.get("reason") or ""), end
    listed = [item["id"] for item in system.get(f"/deployments?track_id={track}&limit=200")["items"]]
    assert listed.count(deployment_id) == 1


def test_an_impossible_deployment_is_refused_at_once(system: System, track: str) -> None:
    """Each reason has its code."""
    good = {"track_id": track, "version": 1, "device_ids": ["demo-0001"]}
    refusals = {
        "track_not_found": good | {"track_id": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"},
        "version_not_found": good | {"version": 7},
        "device_not_found": good | {"device_ids": ["demo-0001", "unknown"]},
        "group_not_found": {"track_id": track, "version": 1, "group": "unknown"},
        "gate_not_overridable": good
        | {"overrides": [{"gate": "presence", "reason": "it is there, I see it"}]},
    }
    responses = {code: post_deployment(system, body) for code, body in refusals.items()}
    assert {code: response.json()["code"] for code, response in responses.items()} == {
        code: code for code in refusals
    }
    assert [response.status_code for response in responses.values()] == [404, 404, 404, 404, 422]


def test_killed_devices_come_back_with_their_bundle(system: System, track: str) -> None:
    """The supervisor restarts the process of the simulated devices, and each still runs its bundle."""
    sha256 = system.get(f"/tracks/{track}/versions/1/bundle")["bundle"]["sha256"]
    deploy(system, track, "--group", "demo", "--observe", "0")
    restart_devices(system)
    assert running_bundles(system) == {sha256}
    status = system.status()
    assert status["simulated"] == [{"pid": system.stack.simulated[0].pid, "devices": 3, "running": True}]
    assert psutil.pid_exists(status["simulated"][0]["pid"])


def test_a_revoked_device_gets_nothing(system: System, track: str) -> None:
    """It is disconnected at once; a deployment to it alone is blocked with the reason; a new credential brings it back."""
    system.cli("devices", "revoke", "demo-0003")
    wait_for(lambda: online_devices(system) == DEVICES[:2], "it is disconnected")
    refused = post_deployment(system, {"track_id": track, "version": 1, "device_ids": ["demo-0003"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "deployment_blocked")
    assert "demo-0003.presence" in {fault["name"] for fault in refused.json()["errors"]}
    done = system.cli(
        "deploy", track, "--devices", "demo-0001,demo-0003", "--observe", "0", "--watch", check=False
    )
    assert done.returncode == 1
    assert "deployment_blocked" in done.stderr
    done = deploy(system, track, "--devices", "demo-0001,demo-0003", "--observe", "0", "--max-failures", "1")
    assert "(1 blocked, 1 committed)" in done.stdout
    system.cli("devices", "add", "demo-0003", "--renew", "--group", "demo")
    assert system.get("/devices/demo-0003").get("revoked_at") is None
    restart_devices(system)


NOT_OK = {"compareVersions": 404, "openWebSocket": 426, "subscribeGraphQL": 426} | dict.fromkeys(
    ("getMe", "listSessions", "listApiKeys"), 403
)
"""What needs two versions, a WebSocket, or somebody who has signed in."""


def test_every_get_responds_as_documented(system: System, track: str) -> None:
    """Each GET of the document, with ids that exist; every exchange is checked."""
    body = {"track_id": track, "version": 1, "device_ids": ["demo-0001"], "strategy": {"observe_seconds": 0}}
    made = request_deployment(system, body).json()["deployment_id"]
    wait_for(lambda: system.request("GET", f"/deployments/{made}").status_code == 200, "deploy has stored it")
    ids = {
        "track_id": track,
        "version": 1,
        "job_id": system.track(track)["versions"][0]["job_id"],
        "deployment_id": made,
        "device_id": "demo-0001",
        "format": "midi",
    }
    for path, calls in json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].items():
        if "get" not in calls or not set(re.findall(r"{(\w+)}", path)) <= ids.keys():
            continue  # schemathesis calls those with other ids, in test_any_request
        name = calls["get"]["operationId"]
        url = f"{system.url}/api/v1{path.format_map(ids)}"
        with httpx.stream("GET", url, timeout=PATIENCE_S) as response:
            assert response.status_code == NOT_OK.get(name, 200), path
            if "text/event-stream" in calls["get"]["responses"].get("200", {}).get("content", {}):
                assert next(response.iter_text()), path
            else:
                assert response.read(), path


def test_the_generated_client_works(system: System) -> None:
    """The client of openapi-python-client can upload, find, edit the graph, simulate, deploy and roll back."""
    client_module = python_client()
    client = client_module.Client(f"{system.url}/api/v1", timeout=httpx.Timeout(PATIENCE_S))
    calls = {name: import_module(f"{CLIENT}.api.{name}") for name in CALLS}
    models = import_module(f"{CLIENT}.models")
    file = import_module(f"{CLIENT}.types").File(io.BytesIO(songs.song(4712)), "client.wav", "audio/wav")
    form = models.UploadForm(file, title="By a client", preset=models.Preset.EDM)
    accepted = calls["tracks.upload_track"].sync(client=client, body=form)
    assert accepted.status is models.UploadAcceptedStatus.QUEUED

    def ready() -> Any:
        found = calls["tracks.get_track"].sync(accepted.track_id, client=client)
        known = isinstance(found, models.TrackDetail)
        return found if known and found.track.status in {"ready", "warning"} else None

    detail = wait_for(ready, "the song is ready")
    assert (detail.track.title, detail.track.preset) == ("By a client", models.Preset.EDM)
    page = calls["tracks.list_tracks"].sync(client=client, search="client", limit=200)
    assert accepted.track_id in [track.id for track in page.items]
    genesis = calls["tracks.get_genesis"].sync(
        accepted.track_id, 1, client=client, layers=[models.MapLayer.RHYTHM]
    )
    assert genesis.layers.rhythm.beat_grid_ms
    assert genesis.metadata.slice_.layers == ["rhythm"]
    order = models.DeploymentBody(accepted.track_id, 1, group="demo", dry_run=True)
    order.activation = models.ActivateNow("now")

    def planned() -> Any:
        found = calls["deployments.request_deployment"].sync(client=client, body=order)
        return found if isinstance(found, models.DeploymentPlan) else None

    plan = wait_for(planned, "there is a bundle, and a plan")
    assert {device.device_id for device in plan.devices} <= set(DEVICES)
    assert plan.bundle.track_id == accepted.track_id
    refused = calls["tracks.get_track"].sync_detailed("trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", client=client)
    assert (refused.status_code, refused.parsed.code) == (404, "track_not_found")
    job = calls["analysis.get_job"].sync(accepted.job_id, client=client)
    assert (job.track_id, job.status) == (accepted.track_id, models.JobStatus.COMPLETED)
    show = accepted.track_id, 1
    read = calls["graphs.get_graph"].sync_detailed(*show, client=client)
    edit = {"client": client, "body": read.parsed}
    stale = calls["graphs.put_graph"].sync_detailed(*show, **edit, if_match='"stale"')
    assert (stale.status_code, stale.parsed.code) == (412, "graph_changed")
    saved = calls["graphs.put_graph"].sync(*show, **edit, if_match=read.headers["ETag"])
    assert saved.validation.ok
    simulated = calls["graphs.simulate_graph"].sync(*show, client=client, body=models.SimulateBody())
    assert isinstance(simulated, models.Simulated)

    order.dry_run = False
    deployment = calls["deployments.request_deployment"].sync(client=client, body=order).deployment_id

    def ended() -> Any:
        found = calls["deployments.get_deployment"].sync(deployment, client=client)
        return found if found.status in {"succeeded", "failed", "rolled_back"} else None

    end = wait_for(ended, "the deployment has ended")
    assert end.status is models.DeploymentStatus.SUCCEEDED or SLOW_MACHINE.search(str(end.to_dict())), end
    undone = calls["deployments.rollback_deployment"].sync_detailed(deployment, client=client)
    if end.status is models.DeploymentStatus.SUCCEEDED:
        assert (undone.status_code, undone.parsed.id) == (200, deployment)


DEVICE_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "minimal-device" / "device.py"
MINIMAL: Final = {"nats": "mini-nats", "mqtt": "mini-mqtt"}


@pytest.fixture
def minimal_devices(system: System, tmp_path: Path) -> Iterator[Path]:
    """Run the documented device over NATS and over MQTT, as two processes; return the folder of their states."""
    system.cli("devices", "add", MINIMAL["nats"], "--out", str(tmp_path))
    system.cli("devices", "add", MINIMAL["mqtt"], "--mqtt", "--out", str(tmp_path))
    with ExitStack() as processes:
        for transport, device in MINIMAL.items():
            folder = tmp_path / device
            folder.mkdir()
            file = tmp_path / f"{device}.{'creds' if transport == 'nats' else 'mqtt.json'}"
            command = [sys.executable, DEVICE_DOCUMENT, file, folder]
            processes.enter_context(running_process(command))
        yield tmp_path
    system.cli("devices", "revoke", *MINIMAL.values())
    wait_for(lambda: online_devices(system) == DEVICES, "the devices of the other tests are left")


def test_the_documented_device_takes_part(system: System, track: str, minimal_devices: Path) -> None:
    """Over NATS and MQTT it sends its hello, stages, activates, sends readings, and rolls back."""
    ids = sorted(MINIMAL.values())
    wait_for(lambda: set(ids) <= set(online_devices(system)), "both are online")
    sha256 = system.get(f"/tracks/{track}/versions/1/bundle")["bundle"]["sha256"]
    done = deploy(system, track, "--devices", ",".join(ids), "--observe", "1", "--json")
    deployment = json.loads(done.stdout)
    assert (deployment["status"], deployment["counts"]) == ("succeeded", {"committed": 2})
    for device in ids:
        assert system.get(f"/devices/{device}")["running"]["bundle_sha256"] == sha256
        assert (
            json.loads((minimal_devices / device / "state.json").read_text())["active"]["track_id"] == track
        )
        assert (minimal_devices / device / sha256).exists()
    system.cli("deployments", "rollback", deployment["id"])

    def back() -> bool:
        return all("running" not in system.get(f"/devices/{device}") for device in ids)

    wait_for(back, "both run what they ran before")
    wait_for(lambda: set(ids) <= set(online_devices(system)), "both are still online")
    for device in ids:
        assert json.loads((minimal_devices / device / "state.json").read_text())["active"] is None
