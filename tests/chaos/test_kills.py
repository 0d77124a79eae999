"""Kills each process with SIGKILL at a bad moment: an accepted upload becomes ready exactly once, others are refused."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from k1_contracts.durables import CATALOGUE, Durable
from k1_platform.nats.administration.provision import consumer_config
from k1_platform.nats.dead_letters.queue import DeadLetter
from tests.chaos.message_kill import kill_on_message
from tests.support import songs
from tests.support.bus import connected_client
from tests.support.system import System, wait_for
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.chaos
ACK_WAIT = timedelta(seconds=4)


@pytest.fixture(scope="module", autouse=True)
def fast_redelivery(system: System) -> Iterator[None]:
    """Redeliver what a killed catalogue has not acknowledged sooner than in operation, where tests would wait 15 s."""

    async def set_ack_wait(durable: Durable) -> None:
        async with connected_client(system.stack.bus) as client:
            await client.jetstream(timeout=PATIENCE_S).add_consumer(durable.stream, consumer_config(durable))

    asyncio.run(set_ack_wait(replace(CATALOGUE, ack_wait=ACK_WAIT)))
    yield
    asyncio.run(set_ack_wait(CATALOGUE))


@pytest.fixture(autouse=True)
def quiescent(system: System) -> None:
    """Wait until nothing of earlier tests is in progress, so that all messages are those of this test."""
    wait_for(system.is_quiescent, "the system is quiescent")


def _accepted(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code in {200, 202}, response.text
    return response.json()


@pytest.mark.parametrize(
    ("name", "moment", "seed"),
    [
        pytest.param("analysis", "live.job.*", 551, marks=pytest.mark.long),
        ("analysis", "analysis.started", 552),
        ("catalogue", "analysis.completed", 553),
        pytest.param("catalogue", "track.uploaded", 554, marks=pytest.mark.long),
        ("ingest", "track.uploaded", 555),
    ],
)
def test_a_service_killed_in_the_middle(system: System, name: str, moment: str, seed: int) -> None:
    """The job continues or starts again, and its result is published once."""
    old = system.pid(name)
    data = songs.song(seed, seconds=10)
    subscribed = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_on_message, system, moment, name, subscribed)
        assert subscribed.wait(PATIENCE_S)
        try:
            response = system.upload(data)
        except httpx.HTTPError:
            response = None
        killed.result()
    system.wait_for_restart(name, old)
    if response is None or response.status_code >= 500:
        # Refused, or without a response: the same bytes are accepted later, and are still one track.
        response = wait_for(
            lambda: a if (a := system.upload(data)).status_code < 500 else None, "the upload is accepted"
        )
    system.assert_ready_once([_accepted(response)])


def _uploads_in_progress(system: System) -> float:
    """Return the number of uploads that ingest receives now, from its metrics."""
    [port] = [part.port for part in system.stack.services if part.name == "ingest"]
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    [count] = re.findall(r"^k1_ingest_uploads_in_progress (\S+)$", metrics, re.MULTILINE)
    return float(count)


def test_ingest_killed_while_it_receives(system: System) -> None:
    """The upload fails; when it is sent again it is accepted and is one track."""
    data = songs.song(501, seconds=40)
    old = system.pid("ingest")
    sent = threading.Event()

    def slowly():
        boundary = b"--k1\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n"
        yield boundary + data[:500_000]
        sent.set()
        wait_for(lambda: system.pid("ingest") != old, "ingest is gone")
        yield data[500_000:] + b"\r\n--k1--\r\n"

    def send() -> httpx.Response | None:
        headers = {"Content-Type": "multipart/form-data; boundary=k1"}
        with contextlib.suppress(httpx.HTTPError):
            return httpx.post(
                f"{system.url}/api/v1/tracks/upload", content=slowly(), headers=headers, timeout=60
            )
        return None

    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(send)
        assert sent.wait(PATIENCE_S)
        wait_for(lambda: _uploads_in_progress(system) == 1, "ingest receives it")
        system.kill("ingest")
        broken = response.result()
    assert broken is None or broken.status_code >= 500, broken
    system.wait_for_restart("ingest", old)
    accepted = _accepted(system.upload_with_retry(data))
    system.assert_ready_once([accepted])
    assert system.upload_with_retry(data).json()["track_id"] == accepted["track_id"]


@pytest.mark.parametrize(
    "server", ["nats", "postgres", *(pytest.param(name, marks=pytest.mark.long) for name in ("s3", "mongo"))]
)
def test_a_server_killed_during_uploads(system: System, server: str) -> None:
    """Every upload is either accepted and becomes ready exactly once, or is refused and can be sent again."""
    first = {"nats": 600, "postgres": 620, "s3": 640, "mongo": 660}[server]
    bodies = [songs.song(first + n, seconds=4) for n in range(8)]
    old = system.pid(server)

    def send(data: bytes) -> dict[str, Any] | None:
        try:
            response = system.upload(data)
        except httpx.HTTPError:
            return None
        return response.json() if response.status_code in {200, 202} else None

    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(send, body) for body in bodies]
        wait_for(lambda: sum(response.done() for response in uploads) >= 3, "the first uploads are in")
        system.kill(server)
        results = [response.result() for response in uploads]
    system.wait_for_restart(server, old)
    for index, result in enumerate(results):
        if result is None:
            again = wait_for(
                lambda body=bodies[index]: a if (a := system.upload(body)).status_code < 500 else None,
                "a refused upload is accepted when it is sent again",
            )
            results[index] = _accepted(again)
    assert len({result["track_id"] for result in results if result}) == len(bodies)
    system.assert_ready_once([result for result in results if result])


def test_a_poison_message_becomes_a_dead_letter_and_can_be_redriven(system: System) -> None:
    """An event that no handler can process becomes a dead letter; `k1 dlq` shows, redrives and purges it."""

    async def publish() -> None:
        async with connected_client(system.stack.bus) as client:
            await client.jetstream(timeout=60).publish("analysis.failed", b'{"job_id": "nonsense"}')

    asyncio.run(publish())

    def letters() -> dict[str, DeadLetter] | None:
        found = {letter.durable: letter for letter in system.dead_letters()}
        return found if found.keys() == {"catalogue", "webhooks"} else None

    letter = wait_for(letters, "a dead letter of each consumer")["catalogue"]
    assert letter.code == "invalid_envelope"
    listed = json.loads(system.cli("dlq", "list", "--json").stdout)["items"]
    assert letter.code in [row["code"] for row in listed]
    assert "nonsense" in system.cli("dlq", "show", str(letter.number)).stdout
    system.cli("dlq", "redrive", str(letter.number))
    again = wait_for(
        lambda: [x for x in system.dead_letters() if x.durable == "catalogue" and x.number != letter.number],
        "it fails again",
    )
    assert again[0].subject == "analysis.failed"
    system.cli("dlq", "purge", "--all")
    assert system.dead_letters() == []
