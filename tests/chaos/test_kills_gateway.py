"""Kills the gateway with SIGKILL: clients that retry with their idempotency key and event id lose nothing."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from k1_contracts import streams
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED
from k1_contracts.messages.telemetry import LIVE_TRACK, LiveSample
from tests.chaos.devices import add_devices, revoked_at_the_end
from tests.chaos.gateway_invariants import (
    find_deployment_violations,
    find_feed_violations,
    find_upload_violations,
)
from tests.chaos.live_feed import LiveFeed
from tests.chaos.message_kill import kill_on_message
from tests.support import songs
from tests.support.bus import connected_client, read_stream
from tests.support.system import System, wait_for
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.chaos
UPLOADS = 6
PHASE = 20
"""Samples that are published before the kill, while the gateway is dead, and after its restart."""
DEVICE = "gateway-kill-0"


@pytest.fixture(autouse=True)
def quiescent(system: System) -> None:
    """Wait until nothing of earlier tests is in progress."""
    wait_for(system.is_quiescent, "the system is quiescent")


@pytest.fixture(scope="module")
def track(system: System) -> str:
    """Upload a song, and wait until its bundle is ready."""
    accepted = system.upload_with_retry(songs.song(700, seconds=4)).json()
    system.wait_for_job(accepted["job_id"])
    path = f"/tracks/{accepted['track_id']}/versions/1/bundle"
    wait_for(lambda: system.request("GET", path).status_code == 200, "its bundle is ready")
    return accepted["track_id"]


def test_gateway_killed_during_uploads_and_a_live_feed(system: System, track: str) -> None:
    """Every upload becomes ready exactly once, and the feed has every sample exactly once."""
    bodies = {str(uuid4()): songs.song(701 + number, seconds=4) for number in range(UPLOADS)}
    (slow_key, slow_body), *others = bodies.items()
    tracks_before = system.get("/tracks?limit=1")["total"]
    feed = LiveFeed(system, track, asyncio.run(last_live_event(system)))
    old_pid = system.pid("gateway")
    in_progress = threading.Event()
    with ThreadPoolExecutor(UPLOADS + 1) as pool:
        reading = pool.submit(feed.run)
        try:
            asyncio.run(publish_samples(system, track, range(PHASE)))
            wait_for(lambda: len(feed.drifts) == PHASE, "the client has the first samples")
            broken = pool.submit(upload_slowly, system, slow_key, slow_body, in_progress, old_pid)
            uploads = [pool.submit(upload_until_accepted, system, key, body) for key, body in others]
            assert in_progress.wait(PATIENCE_S)
            wait_for(lambda: any(upload.done() for upload in uploads), "the first upload is accepted")
            system.kill("gateway")
            asyncio.run(publish_samples(system, track, range(PHASE, 2 * PHASE)))
            assert broken.result() is None, "the slow upload was accepted by a gateway that was killed"
            receipts = [upload_until_accepted(system, slow_key, slow_body)]
            receipts += [upload.result() for upload in uploads]
            system.wait_for_restart("gateway", old_pid)
            asyncio.run(publish_samples(system, track, range(2 * PHASE, 3 * PHASE)))
            wait_for(lambda: len(feed.drifts) >= 3 * PHASE, "the client has the last samples")
        finally:
            feed.stop()
            asyncio.run(publish_samples(system, track, [-1]))  # wakes the client
        reading.result()
    assert find_feed_violations(feed.drifts, feed.notices, feed.connections, 3 * PHASE) == []
    assert [upload_until_accepted(system, key, body) for key, body in bodies.items()] == receipts
    system.assert_ready_once(receipts)
    assert find_upload_violations(receipts, asyncio.run(uploaded_tracks(system))) == []
    assert system.get("/tracks?limit=1")["total"] == tracks_before + UPLOADS


async def test_gateway_killed_after_it_requested_a_deployment(
    system: System, track: str, tmp_path: Path
) -> None:
    """The client repeats its request with the same idempotency key, and there is one deployment."""
    key = str(uuid4())
    body = {"track_id": track, "version": 1, "device_ids": [DEVICE], "strategy": {"observe_seconds": 0}}
    old_pid = await asyncio.to_thread(system.pid, "gateway")
    async with connected_client(system.stack.bus) as client, revoked_at_the_end(client, [DEVICE]):
        async with await add_devices(system, client, tmp_path, [DEVICE]):
            await asyncio.to_thread(wait_for, lambda: is_online(system, DEVICE), "the device is online")
            with ThreadPoolExecutor(1) as pool:
                subscribed = threading.Event()
                killed = pool.submit(kill_on_message, system, DEPLOY_REQUESTED.subject, "gateway", subscribed)
                assert await asyncio.to_thread(subscribed.wait, PATIENCE_S)
                first = await asyncio.to_thread(request_deployment, system, key, body)
                await asyncio.to_thread(killed.result)
            await asyncio.to_thread(system.wait_for_restart, "gateway", old_pid)
            ids = [*first, *await asyncio.to_thread(retry_deployment, system, key, body)]
            await asyncio.to_thread(wait_for_end, system, ids[-1])
        listed = await asyncio.to_thread(system.get, f"/deployments?track_id={track}&limit=200")
        commands = await read_stream(client, streams.EVENTS, DEPLOY_REQUESTED.subject)
        requested = [json.loads(command.data) for command in commands]
    requested_ids = [command["deployment_id"] for command in requested if command["track_id"] == track]
    listed_ids = [item["id"] for item in listed["items"]]
    assert find_deployment_violations(ids, listed_ids, requested_ids) == []


# ---------------------------------------------------------------------- clients


def upload_until_accepted(system: System, key: str, body: bytes) -> dict[str, Any]:
    """Send an upload with the same idempotency key until it is accepted; return the receipt."""

    def accepted() -> httpx.Response | None:
        response = system.upload(body, headers={"Idempotency-Key": key})
        return None if response.status_code >= 500 else response

    response = wait_for(accepted, "the upload is accepted")
    assert response.status_code == 202, response.text
    return response.json()


def upload_slowly(
    system: System, key: str, body: bytes, in_progress: threading.Event, old_pid: int
) -> httpx.Response | None:
    """Send an upload that is in progress until the gateway is dead; return the response, or None without one."""

    def chunks() -> Iterator[bytes]:
        yield b"--k1\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n" + body[:100_000]
        in_progress.set()
        wait_for(lambda: system.pid("gateway") != old_pid, "the gateway is dead")
        yield body[100_000:] + b"\r\n--k1--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=k1", "Idempotency-Key": key}
    with contextlib.suppress(httpx.HTTPError):
        return httpx.post(f"{system.url}/api/v1/tracks/upload", content=chunks(), headers=headers, timeout=60)
    return None


def request_deployment(system: System, key: str, body: dict[str, Any]) -> list[str]:
    """Request a deployment once; return its id, or nothing if there was no response."""
    with contextlib.suppress(httpx.HTTPError):
        headers = {"Idempotency-Key": key}
        response = httpx.post(f"{system.url}/api/v1/deployments", json=body, headers=headers, timeout=60)
        assert response.status_code == 202, response.text
        return [response.json()["deployment_id"]]
    return []


def retry_deployment(system: System, key: str, body: dict[str, Any]) -> list[str]:
    """Repeat the request with the same key until there is a response; return the id of the deployment."""
    response = system.request("POST", "/deployments", json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 202, response.text
    return [response.json()["deployment_id"]]


def is_online(system: System, device_id: str) -> bool:
    response = system.request("GET", f"/devices/{device_id}")
    return response.status_code == 200 and response.json()["online"] and bool(response.json().get("firmware"))


def wait_for_end(system: System, deployment_id: str) -> None:
    def ended() -> bool:
        response = system.request("GET", f"/deployments/{deployment_id}")
        return response.status_code == 200 and response.json()["status"] in {
            "succeeded",
            "failed",
            "rolled_back",
        }

    wait_for(ended, "the deployment has ended")


async def last_live_event(system: System) -> int:
    async with connected_client(system.stack.bus) as client:
        return (await client.jetstream(timeout=PATIENCE_S).stream_info(streams.LIVE_TRACKS)).state.last_seq


async def publish_samples(system: System, track: str, numbers: Iterable[int]) -> None:
    """Publish samples as telemetry does; `drift_ms` is the number of the sample."""
    async with connected_client(system.stack.bus) as client:
        jetstream = client.jetstream(timeout=PATIENCE_S)
        for number in numbers:
            sample = LiveSample(
                timestamp=datetime.now(UTC),
                device_id=DEVICE,
                track_id=track,
                drift_ms=number,
                cpu_pct=1.0,
                temp_c=1.0,
                fps=60.0,
            )
            await jetstream.publish(
                LIVE_TRACK.subject_for(track), sample.to_json(), stream=streams.LIVE_TRACKS
            )


async def uploaded_tracks(system: System) -> Counter[str]:
    """Return how often each track was published as uploaded."""
    async with connected_client(system.stack.bus) as client:
        events = await read_stream(client, streams.EVENTS, TRACK_UPLOADED.subject)
    return Counter(json.loads(event.data)["track_id"] for event in events)
