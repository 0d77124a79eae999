"""Uploads songs, follows their analysis and reads their maps on the whole system."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from nats.aio.msg import Msg

from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.analysis import JobProgress
from tests.support import songs
from tests.support.bus import connected_client
from tests.support.system import System, wait_for

pytestmark = pytest.mark.e2e


def test_upload_wait_and_read_the_map(system: System, tmp_path: Path) -> None:
    """`demo-song`, `upload --wait --json`, `tracks`, `genesis`: stable output for scripts, and the right beats."""
    wav = tmp_path / "demo.wav"
    subprocess.run([sys.executable, "-m", "k1_cli", "demo-song", str(wav), "--seconds", "32"], check=True)
    truth = json.loads(wav.with_suffix(".json").read_text())
    done = json.loads(system.cli("upload", str(wav), "--wait", "--json").stdout)
    assert set(done) >= {"track_id", "job_id", "version", "status", "bpm", "beat_count", "elapsed_ms"}
    assert done["status"] in {"ready", "warning"}
    listed = json.loads(system.cli("tracks", "--json").stdout)
    assert done["track_id"] in [item["id"] for item in listed["items"]]
    genesis = GenesisMap.model_validate_json(system.cli("genesis", done["track_id"]).stdout)
    beats = [ms / 1000 for ms in genesis.layers.rhythm.beat_grid_ms]
    hits = sum(any(abs(beat - true) < 0.07 for beat in beats) for true in truth["beats"])
    assert hits / len(truth["beats"]) > 0.9
    assert abs(len(beats) - len(truth["beats"])) <= 4
    picture = tmp_path / "map.png"
    system.cli("genesis", done["track_id"], "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_stored_map_is_the_artefact_to_the_last_digit(system: System) -> None:
    """The map from the database equals the artefact of the engine, which has the listed hash."""
    accepted = system.upload_with_retry(songs.mp3(901), "song.mp3").json()
    system.wait_for_job(accepted["job_id"])
    base = f"/tracks/{accepted['track_id']}/versions/1"
    artefacts = {a["type"]: a for a in system.get(f"{base}/artefacts")["artefacts"]}
    stored = httpx.get(artefacts["genesis_map"]["url"], timeout=60).content
    assert sha256(stored).hexdigest() == artefacts["genesis_map"]["sha256"]
    assert system.get(f"{base}/genesis") == json.loads(stored)
    profile = httpx.get(artefacts["speedscope"]["url"], timeout=60).json()
    assert profile["$schema"].endswith("file-format-schema.json")
    assert profile["profiles"]
    assert artefacts["beat_override"]["status"] == "missing"


def test_the_same_bytes_are_one_track(system: System) -> None:
    """Twenty clients send one song at once: one track, one job, one version."""
    data = songs.song(902)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: system.upload_with_retry(data, f"copy-{n}.wav"), range(20)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({(a.json()["track_id"], a.json()["job_id"]) for a in answers}) == 1
    assert [answer.status_code for answer in answers].count(202) <= 1
    accepted = answers[0].json()
    system.wait_for_job(accepted["job_id"])
    assert len(system.track(accepted["track_id"])["versions"]) == 1


def test_another_analysis_is_a_new_version(system: System) -> None:
    """It has another preset; the first version can still be read."""
    accepted = system.upload_with_retry(songs.song(903)).json()
    system.wait_for_job(accepted["job_id"])
    path = f"{system.url}/api/v1/tracks/{accepted['track_id']}/analysis"
    asked = httpx.post(path, json={"preset": "edm", "priority": 9}, timeout=60)
    assert asked.status_code == 202, asked.text
    assert asked.json()["version"] == 2
    assert system.wait_for_job(asked.json()["job_id"])["status"] == "completed"
    detail = system.track(accepted["track_id"])
    assert sorted(version["version"] for version in detail["versions"]) == [1, 2]
    assert detail["track"]["current_version"] == 2
    for version in (1, 2):
        genesis = system.get(f"/tracks/{accepted['track_id']}/versions/{version}/genesis")
        assert genesis["metadata"]["analysis_config"]["preset"] == (None, "edm")[version - 1]


def test_a_slice_of_the_map(system: System) -> None:
    """It has only the requested layers, times and number of points; the same request again gives 304."""
    accepted = system.upload_with_retry(songs.song(904)).json()
    system.wait_for_job(accepted["job_id"])
    path = f"/tracks/{accepted['track_id']}/versions/1/genesis"
    query = {"layers": "frequency", "from_ms": "2000", "to_ms": "4000", "max_points": "10"}
    answer = system.request("GET", path, params=query)
    layers = answer.json()["layers"]
    assert list(layers) == ["frequency"]
    assert 1 < len(layers["frequency"]["bass"]) <= 10
    assert all(2000 <= point["time_ms"] <= 4000 for point in layers["frequency"]["bass"])
    again = system.request("GET", path, params=query, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_workers_and_health_are_reported(system: System) -> None:
    """The operator sees the worker slots, and that everything is ready."""
    workers = wait_for(lambda: system.get("/analysis/workers")["workers"], "the workers have reported")
    assert {slot["engine"] for slot in workers} == {workers[0]["engine"]}
    status = system.status()
    assert all(part["ready"] for part in (*status["servers"], *status["services"]))
    assert {part["name"] for part in status["servers"]} == {"nats", "postgres", "mongo", "s3", "mailbox"}
    assert {c["durable"] for c in status["consumers"]} >= {"catalogue", "analysis-intake"}
    assert status["dead_letters"] == 0


def test_one_trace_covers_an_upload(system: System) -> None:
    """The event at the end of the analysis has the trace id that the client sent with the upload."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    job_id = system.upload_with_retry(songs.song(905), headers=header).json()["job_id"]
    system.wait_for_job(job_id)

    def message_trace() -> str:
        async def read() -> str:
            async with connected_client(system.stack.bus) as client:
                events = await client.jetstream(timeout=60).subscribe(
                    "analysis.completed", stream="EVENTS", ordered_consumer=True
                )
                while json.loads((message := await events.next_msg(timeout=60)).data)["job_id"] != job_id:
                    pass
                return (message.headers or {}).get("traceparent", "")

        return asyncio.run(read())

    assert trace in message_trace()


def test_the_first_beats_are_published_before_the_analysis_ends(system: System) -> None:
    """The preview of the opening is published long before the end of the analysis, and agrees with the map."""

    async def listen() -> tuple[list[JobProgress], dict[str, str]]:
        received: list[JobProgress] = []

        async def receive(message: Msg) -> None:
            received.append(JobProgress.model_validate_json(message.data))

        async with connected_client(system.stack.bus) as client:
            await client.subscribe("live.job.*", cb=receive)
            await client.flush()
            accepted = (await asyncio.to_thread(system.upload_with_retry, songs.song(906, seconds=45))).json()
            await asyncio.to_thread(system.wait_for_job, accepted["job_id"])
            await client.drain()  # waits for all messages that were published before the end
        return [progress for progress in received if progress.job_id == accepted["job_id"]], accepted

    received, accepted = asyncio.run(listen())
    first = next(progress for progress in received if progress.preview)
    assert first.preview is not None
    assert first.percent < 70
    genesis = system.get(f"/tracks/{accepted['track_id']}/versions/1/genesis?layers=rhythm")
    opening = [ms for ms in genesis["layers"]["rhythm"]["beat_grid_ms"] if ms < 30_000]
    near = [ms for ms in first.preview.beat_grid_ms if any(abs(ms - beat) < 70 for beat in opening)]
    assert len(near) > 0.8 * len(opening)
