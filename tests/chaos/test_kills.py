"""`kill -9` of each process at a bad moment: what was accepted ends ready exactly once, the rest was told no."""

import asyncio
import contextlib
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import nats
import pytest

from k1_platform.nats.connection import connect_options
from tests.support import songs
from tests.support.system import PATIENCE_S, System, until

pytestmark = pytest.mark.chaos


@pytest.fixture(autouse=True)
def at_rest(system: System) -> None:
    """Nothing of earlier tests is under way, so what passes is what the test has sent."""
    until(system.at_rest, "all is at rest")


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def _kill_when_heard(system: System, subject: str, name: str, listening: threading.Event) -> None:
    """Kill a process at the moment a message passes."""

    async def wait() -> None:
        client = await nats.connect(**connect_options(system.stack.bus))
        heard = asyncio.Event()

        async def hear(_: object) -> None:
            heard.set()

        await client.subscribe(subject, cb=hear)
        await client.flush(timeout=60)
        listening.set()
        await asyncio.wait_for(heard.wait(), PATIENCE_S)
        system.kill(name)
        await client.close()

    asyncio.run(wait())


@pytest.mark.parametrize(
    ("name", "moment", "seed"),
    [
        ("analysis", "live.job.*", 551),
        ("analysis", "analysis.started", 552),
        ("catalogue", "analysis.completed", 553),
        ("catalogue", "track.uploaded", 554),
        ("ingest", "track.uploaded", 555),
    ],
)
def test_a_service_killed_in_the_middle(system: System, name: str, moment: str, seed: int) -> None:
    """The job goes on where it was, or anew, and is told once."""
    old = system.pid(name)
    data = songs.song(seed, seconds=10)
    listening = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(_kill_when_heard, system, moment, name, listening)
        assert listening.wait(PATIENCE_S)
        try:
            answer = system.upload(data)
        except httpx.HTTPError:
            answer = None
        killed.result()
    system.await_new(name, old)
    if answer is None or answer.status_code >= 500:
        # Told no, or told nothing: the same bytes again are accepted, and still one track.
        answer = until(
            lambda: a if (a := system.upload(data)).status_code < 500 else None, "the upload is accepted"
        )
    system.assert_nothing_in_limbo([_accepted(answer)])


def _under_way(system: System) -> float:
    """How many uploads ingest receives, by its own count."""
    [port] = [part.port for part in system.stack.services if part.name == "ingest"]
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    [count] = re.findall(r"^k1_ingest_uploads_in_progress (\S+)$", metrics, re.MULTILINE)
    return float(count)


def test_ingest_killed_while_it_receives(system: System) -> None:
    """The client sees a broken upload; the same song again is accepted and is one track."""
    data = songs.song(501, seconds=40)
    old = system.pid("ingest")
    sent = threading.Event()

    def slowly():
        boundary = b"--k1\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n"
        yield boundary + data[:500_000]
        sent.set()
        until(lambda: system.pid("ingest") != old, "ingest is gone")
        yield data[500_000:] + b"\r\n--k1--\r\n"

    def send() -> httpx.Response | None:
        headers = {"Content-Type": "multipart/form-data; boundary=k1"}
        with contextlib.suppress(httpx.HTTPError):
            return httpx.post(
                f"{system.url}/api/v1/tracks/upload", content=slowly(), headers=headers, timeout=60
            )
        return None

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send)
        assert sent.wait(PATIENCE_S)
        until(lambda: _under_way(system) == 1, "ingest receives it")
        system.kill("ingest")
        broken = answer.result()
    assert broken is None or broken.status_code >= 500, broken
    system.await_new("ingest", old)
    accepted = _accepted(system.uploaded(data))
    system.assert_nothing_in_limbo([accepted])
    assert system.uploaded(data).json()["track_id"] == accepted["track_id"]


@pytest.mark.parametrize("server", ["nats", "postgres", "s3", "mongo"])
def test_a_server_killed_while_twenty_upload(system: System, server: str) -> None:
    """Every upload is either accepted and ends ready exactly once, or was refused and can be sent again."""
    first = {"nats": 600, "postgres": 620, "s3": 640, "mongo": 660}[server]
    bodies = [songs.song(first + n, seconds=4) for n in range(20)]
    old = system.pid(server)

    def send(data: bytes) -> dict[str, Any] | None:
        try:
            answer = system.upload(data)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code in {200, 202} else None

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(send, body) for body in bodies]
        until(lambda: sum(answer.done() for answer in answers) >= 4, "the first uploads are in")
        system.kill(server)
        results = [answer.result() for answer in answers]
    system.await_new(server, old)
    for index, result in enumerate(results):
        if result is None:
            again = until(
                lambda body=bodies[index]: a if (a := system.upload(body)).status_code < 500 else None,
                "a refused upload is accepted when it is sent again",
            )
            results[index] = _accepted(again)
    assert len({result["track_id"] for result in results if result}) == 20
    system.assert_nothing_in_limbo([result for result in results if result])


def test_a_poison_message_is_buried_and_can_be_redriven(system: System) -> None:
    """A fact that no handler can take lands on the dead-letter stream; `k1 dlq` shows, redrives and purges it."""

    async def publish() -> None:
        client = await nats.connect(**connect_options(system.stack.bus))
        await client.jetstream(timeout=60).publish("analysis.failed", b'{"job_id": "nonsense"}')
        await client.close()

    asyncio.run(publish())
    letter = until(system.dead_letters, "a dead letter")[0]
    assert (letter.durable, letter.code) == ("catalogue", "invalid_envelope")
    listed = json.loads(system.cli("dlq", "list", "--json").stdout)["items"]
    assert [row["code"] for row in listed] == [letter.code]
    assert "nonsense" in system.cli("dlq", "show", str(letter.number)).stdout
    system.cli("dlq", "redrive", str(letter.number))
    again = until(lambda: [x for x in system.dead_letters() if x.number != letter.number], "it fails again")
    assert again[0].subject == "analysis.failed"
    system.cli("dlq", "purge", "--all")
    assert system.dead_letters() == []
