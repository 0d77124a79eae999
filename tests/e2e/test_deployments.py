"""A show on devices: the whole system as `k1 up` starts it, with simulated K1s beside it."""

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
from tests.support.generators import CLIENT, OPENAPI, python_client
from tests.support.system import PATIENCE_S, System, until

pytestmark = pytest.mark.e2e

DEVICES = ["demo-0001", "demo-0002", "demo-0003"]
CALLS: Final = (
    *("tracks.upload_track", "tracks.get_track", "tracks.list_tracks", "tracks.get_genesis"),
    *("graphs.get_graph", "graphs.put_graph", "graphs.simulate_graph", "analysis.get_job"),
    *("deployments.request_deployment", "deployments.get_deployment", "deployments.rollback_deployment"),
)
HELD_UP: Final = re.compile(
    r"did not answer|is not connected|deadline_passed|clock could not be measured|did not say what it holds|\bsilen"
)
"""Why a deployment to devices that a busy machine keeps from answering in time ends without a success, as it should."""
GATEWAY_WAITS_S: Final = 5.0
"""How long the gateway holds back the answer to an order until deploy has it."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with three simulated devices that are online."""
    system = System(tmp_path_factory.mktemp("stage"))
    system.cli("up", "--detach", "--sim-devices", str(len(DEVICES)))
    try:
        until(lambda: there(system) == DEVICES, "the devices are there")
        yield system
    finally:
        system.cli("down")


@pytest.fixture(scope="module")
def track(stage: System) -> str:
    """A song with a bundle."""
    accepted = stage.uploaded(songs.song(4711)).json()
    stage.await_end(accepted["job_id"])
    until(lambda: bundle(stage, accepted["track_id"]).status_code == 200, "its bundle is there")
    return accepted["track_id"]


def there(system: System) -> list[str]:
    """The devices that an order finds: online, and known by their hello."""
    items = system.get("/devices")["items"]
    return [device["id"] for device in items if device["online"] and device.get("firmware")]


def bundle(system: System, track_id: str) -> httpx.Response:
    return httpx.get(f"{system.url}/api/v1/tracks/{track_id}/versions/1/bundle", timeout=30)


def post(system: System, body: Any, **headers: str) -> httpx.Response:
    """An order, answered."""
    return system.ask("POST", "/deployments", json=body, headers=headers)


def order(system: System, body: Any, **headers: str) -> httpx.Response:
    """An order to devices that are there; one that fell silent just before is waited for."""

    def taken() -> httpx.Response | None:
        answer = post(system, body, **headers)
        blocked = answer.status_code == 409 and answer.json()["code"] == "deployment_blocked"
        gates = {fault["name"].rpartition(".")[2] for fault in answer.json()["errors"]} if blocked else set()
        return None if gates == {"presence"} else answer

    return until(taken, "the devices are there")


def deployed(system: System, track: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`k1 deploy --watch` to its end; what devices were held up in is ordered again."""

    def ended() -> subprocess.CompletedProcess[str] | None:
        until(lambda: len(there(system)) == len(system.get("/devices")["items"]), "the devices are there")
        done = system.cli("deploy", track, *options, "--watch", check=False)
        told = " ".join((done.stdout + done.stderr).split())
        if done.returncode and HELD_UP.search(told):
            return None
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
        return done

    return until(ended, "the show is on the devices")


def hellos(system: System) -> dict[str, datetime]:
    """When each device last said hello, by the broker's clock."""
    rows = system.sql("SELECT id, hello_at FROM deploy.devices WHERE hello_at IS NOT NULL")
    return {row["id"]: row["hello_at"] for row in rows}


def restart_devices(system: System) -> None:
    """`kill -9` their process, which is looked after; they come back with the credentials they are given now.

    For seconds the dead still count as online: they are back when each was heard after a new hello.
    """
    (before,) = system.stack.simulated
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    said = hellos(system)
    until(lambda: system.stack.simulated[0].pid not in {None, before.pid}, "it starts again")
    until(lambda: all(hellos(system)[name] > said[name] for name in DEVICES), "all have said hello again")
    again = hellos(system)

    def back() -> bool:
        seen = {device["id"]: device.get("last_seen") for device in system.get("/devices")["items"]}
        heard = all(seen[name] and datetime.fromisoformat(seen[name]) > again[name] for name in DEVICES)
        return heard and there(system) == DEVICES

    until(back, "all are online again")


def running(system: System) -> set[str | None]:
    """The hashes of the bundles that the devices run."""
    items = system.get("/devices")["items"]
    return {(item.get("running") or {}).get("bundle_sha256") for item in items if not item.get("revoked_at")}


def test_a_show_reaches_the_devices(stage: System, track: str, tmp_path: Path) -> None:
    """`k1 deploy --watch` ends well when every device runs the bundle that the API names; the picture is drawn."""

    def fits() -> Any:
        told = stage.get(f"/tracks/{track}/versions/1/bundle")
        found = [(each["device_id"], each["status"]) for each in told["compatibility"]]
        assert [(device, "ok" if status == "offline" else status) for device, status in found] == [
            (device, "ok") for device in DEVICES
        ]
        return told if all(status == "ok" for _, status in found) else None

    view = until(fits, "every device is there and can run it")
    dry = ("deploy", track, "--group", "demo", "--dry-run")
    until(lambda: stage.cli(*dry, check=False).stdout.endswith("it would start\n"), "a dry run says so")
    picture = tmp_path / "timeline.png"
    done = deployed(
        stage, track, "--group", "demo", "--canary", "1", "--observe", "1", "--json", "--png", str(picture)
    )
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
    until(lambda: there(stage) == DEVICES, "the devices are there")
    began = time.monotonic()
    accepted = order(stage, body, **{"Idempotency-Key": "once"})
    in_time = time.monotonic() - began < GATEWAY_WAITS_S
    assert accepted.status_code == 202, accepted.text
    deployment_id = accepted.json()["deployment_id"]
    url = f"{stage.url}/api/v1/deployments/{deployment_id}"
    looked_at = httpx.get(url, timeout=60)
    assert looked_at.status_code != 404 or not in_time
    until(lambda: httpx.get(url, timeout=60).status_code == 200, "deploy has the order")
    assert stage.get(f"/deployments/{deployment_id}")["requested_by"] == "operator"
    assert order(stage, body, **{"Idempotency-Key": "once"}).json() == accepted.json()

    def told() -> list[Any]:
        text = httpx.get(f"{url}/events", timeout=60).text
        parts = [part for part in text.split("\n\n") if part.startswith("event: dep")]
        return [json.loads(part.split("data: ")[1]) for part in parts]

    end = until(told, "its stream has ended")[-1]
    assert end["status"] == "succeeded" or HELD_UP.search(end.get("reason") or ""), end
    listed = [item["id"] for item in stage.get(f"/deployments?track_id={track}&limit=200")["items"]]
    assert listed.count(deployment_id) == 1


def test_what_cannot_be_is_refused_at_once(stage: System, track: str) -> None:
    """With a code of its own each."""
    good = {"track_id": track, "version": 1, "device_ids": ["demo-0001"]}
    refusals = {
        "track_not_found": good | {"track_id": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"},
        "version_not_found": good | {"version": 7},
        "device_not_found": good | {"device_ids": ["demo-0001", "nobody"]},
        "group_not_found": {"track_id": track, "version": 1, "group": "nobody"},
        "gate_not_overridable": good
        | {"overrides": [{"gate": "presence", "reason": "it is there, I see it"}]},
    }
    answers = {code: post(stage, body) for code, body in refusals.items()}
    assert {code: answer.json()["code"] for code, answer in answers.items()} == {
        code: code for code in refusals
    }
    assert [answer.status_code for answer in answers.values()] == [404, 404, 404, 404, 422]


def test_killed_devices_come_back_with_what_they_held(stage: System, track: str) -> None:
    """The process of the simulated devices is looked after, and each remembers its show."""
    sha256 = stage.get(f"/tracks/{track}/versions/1/bundle")["bundle"]["sha256"]
    deployed(stage, track, "--group", "demo", "--observe", "0")
    restart_devices(stage)
    assert running(stage) == {sha256}
    status = stage.status()
    assert status["simulated"] == [{"pid": stage.stack.simulated[0].pid, "devices": 3, "running": True}]
    assert psutil.pid_exists(status["simulated"][0]["pid"])


def test_a_revoked_device_takes_nothing(stage: System, track: str) -> None:
    """Cut off at once; a deployment to it alone is blocked and says why; a new credential brings it back."""
    stage.cli("devices", "revoke", "demo-0003")
    until(lambda: there(stage) == DEVICES[:2], "it is cut off")
    refused = post(stage, {"track_id": track, "version": 1, "device_ids": ["demo-0003"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "deployment_blocked")
    assert "demo-0003.presence" in {fault["name"] for fault in refused.json()["errors"]}
    done = stage.cli(
        "deploy", track, "--devices", "demo-0001,demo-0003", "--observe", "0", "--watch", check=False
    )
    assert done.returncode == 1
    assert "deployment_blocked" in done.stderr
    done = deployed(stage, track, "--devices", "demo-0001,demo-0003", "--observe", "0", "--max-failures", "1")
    assert "(1 blocked, 1 committed)" in done.stdout
    stage.cli("devices", "add", "demo-0003", "--renew", "--group", "demo")
    assert stage.get("/devices/demo-0003").get("revoked_at") is None
    restart_devices(stage)


def test_every_read_answers_as_documented(stage: System, track: str) -> None:
    """Each GET of the document, with ids that exist; the check of every exchange does the rest."""
    body = {"track_id": track, "version": 1, "device_ids": ["demo-0001"], "strategy": {"observe_seconds": 0}}
    made = order(stage, body).json()["deployment_id"]
    until(lambda: stage.ask("GET", f"/deployments/{made}").status_code == 200, "deploy has the order")
    ids = {
        "track_id": track,
        "version": 1,
        "job_id": stage.track(track)["versions"][0]["job_id"],
        "deployment_id": made,
        "device_id": "demo-0001",
    }
    for path, calls in json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].items():
        if "get" not in calls:
            continue
        url = f"{stage.url}/api/v1{path.format_map(ids)}"
        with httpx.stream("GET", url, timeout=PATIENCE_S) as answer:
            assert answer.status_code == 200, path
            if calls["get"]["operationId"] == "streamTelemetry":
                assert next(answer.iter_text()) == ": connected\n\n"
            else:
                assert answer.read(), path


def test_the_generated_client_works(stage: System, tmp_path: Path) -> None:
    """A client that openapi-python-client made: upload, find, edit the graph, simulate, deploy and roll back."""
    client_module = python_client(tmp_path)
    client = client_module.Client(f"{stage.url}/api/v1", timeout=httpx.Timeout(PATIENCE_S))
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

    detail = until(ready, "the song is ready")
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

    plan = until(planned, "its bundle is there, and there is a plan")
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

    end = until(ended, "the deployment has ended")
    assert end.status is models.DeploymentStatus.SUCCEEDED or HELD_UP.search(str(end.to_dict())), end
    undone = calls["deployments.rollback_deployment"].sync_detailed(deployment, client=client)
    if end.status is models.DeploymentStatus.SUCCEEDED:
        assert (undone.status_code, undone.parsed.id) == (200, deployment)


DEVICE_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "minimal-device" / "device.py"
MINIMAL: Final = {"nats": "mini-nats", "mqtt": "mini-mqtt"}


@pytest.fixture
def minimal_devices(stage: System, tmp_path: Path) -> Iterator[Path]:
    """The device of the documents over NATS and over MQTT, as two processes; where their states are."""
    stage.cli("devices", "add", MINIMAL["nats"], "--out", str(tmp_path))
    stage.cli("devices", "add", MINIMAL["mqtt"], "--mqtt", "--out", str(tmp_path))
    with ExitStack() as processes:
        for transport, device in MINIMAL.items():
            folder = tmp_path / device
            folder.mkdir()
            file = tmp_path / f"{device}.{'creds' if transport == 'nats' else 'mqtt.json'}"
            command = [sys.executable, DEVICE_DOCUMENT, file, folder]
            processes.callback(end, subprocess.Popen([*map(str, command)]))
        yield tmp_path
    stage.cli("devices", "revoke", *MINIMAL.values())
    until(lambda: there(stage) == DEVICES, "the other tests find the devices that they know")


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def test_the_device_of_the_documents_takes_part(stage: System, track: str, minimal_devices: Path) -> None:
    """Over NATS and MQTT: says hello, stages, activates, sends readings, and goes back when it is rolled back."""
    ids = sorted(MINIMAL.values())
    until(lambda: set(ids) <= set(there(stage)), "both are online")
    sha256 = stage.get(f"/tracks/{track}/versions/1/bundle")["bundle"]["sha256"]
    done = deployed(stage, track, "--devices", ",".join(ids), "--observe", "1", "--json")
    deployment = json.loads(done.stdout)
    assert (deployment["status"], deployment["counts"]) == ("succeeded", {"committed": 2})
    for device in ids:
        assert stage.get(f"/devices/{device}")["running"]["bundle_sha256"] == sha256
        assert (
            json.loads((minimal_devices / device / "state.json").read_text())["active"]["track_id"] == track
        )
        assert (minimal_devices / device / sha256).exists()
    stage.cli("deployments", "rollback", deployment["id"])

    def back() -> bool:
        return all("running" not in stage.get(f"/devices/{device}") for device in ids)

    until(back, "both run what they ran before")
    until(lambda: set(ids) <= set(there(stage)), "both are still online")
    for device in ids:
        assert json.loads((minimal_devices / device / "state.json").read_text())["active"] is None
