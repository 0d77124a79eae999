"""Uploads through the gateway into the real ingest."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from nats.js import JetStreamContext

from k1_contracts.envelope import Envelope
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_contracts.streams import EVENTS
from services.ingest.tests import songs
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually

URL = "/api/v1/tracks/upload"
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}


async def test_a_song_is_accepted_and_known_again(http: httpx.AsyncClient, unique: str) -> None:
    """202, then 200 with the same ids."""
    song = songs.wav(2.0, int(unique[:7], 16))
    first = await http.post(URL, files={"file": ("été.wav", song)}, data={"title": "Été"})
    again = await http.post(URL, files={"file": ("b.wav", song)})
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"status": "existing"}


async def test_the_sender_reaches_ingest(
    http: httpx.AsyncClient, jetstream: JetStreamContext, unique: str
) -> None:
    """The event says who uploaded the song."""
    song = songs.wav(2.0, int(unique[:7], 16))
    assert (await http.post(URL, files={"file": ("a.wav", song)})).status_code == 202
    message = await jetstream.get_last_msg(EVENTS, TRACK_UPLOADED.subject)
    actor = Envelope.from_headers(message.headers or {}).actor
    assert actor is not None
    assert (actor.kind, actor.address) == ("local", "127.0.0.1")


async def test_an_idempotency_key_reaches_ingest(http: httpx.AsyncClient, unique: str) -> None:
    """A retry gets the first response again."""
    song = songs.wav(2.0, int(unique[:7], 16))
    responses = [
        await http.post(URL, files={"file": ("a.wav", song)}, headers={"Idempotency-Key": unique})
        for _ in range(2)
    ]
    assert [(response.status_code, response.json()) for response in responses] == [
        (202, responses[0].json())
    ] * 2


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"words " * 100, 415, "unsupported_format"),
        (b"", 422, "empty_file"),
        (b"%PDF" + bytes(20_000_000), 415, "unsupported_format"),
        (songs.wav(1.0)[:44] + bytes(51_000_000), 413, "too_large"),
    ],
)
async def test_rejections_become_problems(
    http: httpx.AsyncClient, content: bytes, status: int, code: str
) -> None:
    """So do those that ingest decides long before the last byte."""
    response = await http.post(URL, files={"file": ("a.mp3", content)})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_faults_of_the_form_are_listed(http: httpx.AsyncClient) -> None:
    """Each has the name of its field, as for every other invalid request."""
    response = await http.post(URL, files={"file": ("a.wav", songs.wav())}, data={"preset": "polka"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_form")
    assert [fault["name"] for fault in response.json()["errors"]] == ["preset"]


async def test_the_body_is_not_kept_in_memory(http: httpx.AsyncClient, gateway: RunningService) -> None:
    """50 MB pass through with the memory of a few buffers."""

    async def body() -> AsyncIterator[bytes]:
        yield HEAD + songs.lying_wav()[:44]
        for _ in range(49):
            yield bytes(1_000_000)
        yield b"\r\n--b--\r\n"

    await http.get("/api/v1/openapi.json")
    before = psutil.Process(gateway.process.pid).memory_info().rss
    Path(f"/proc/{gateway.process.pid}/clear_refs").write_text("5")  # resets the peak
    response = await http.post(URL, content=body(), headers=HEADERS)
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
    assert response.status_code in {200, 202}
    assert peak - before < 16 * 1024 * 1024


async def test_a_disconnected_client_frees_ingest(
    http: httpx.AsyncClient, gateway: RunningService, ingest: RunningService
) -> None:
    """More clients than may upload at once disconnect in the middle; soon no upload is in progress."""
    url = httpx.URL(gateway.url)

    async def none_counts() -> bool:
        return "uploads_in_progress 0.0" in (await http.get(f"{ingest.url}/metrics")).text

    async def some_count() -> bool:
        return not await none_counts()

    with ExitStack() as connections:
        for _ in range(10):
            connection = socket.create_connection((url.host, url.port or 80))
            connections.enter_context(connection).sendall(
                b"POST /api/v1/tracks/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + HEAD + songs.wav(2.0)
            )
        await eventually(some_count, "uploads are in progress")
    await eventually(none_counts, "no upload is in progress")
    assert (await http.post(URL, files={"file": ("a.mp3", b"words")})).status_code == 415


async def test_without_ingest_uploads_are_rejected(provisioned: Infrastructure, tmp_path: Path) -> None:
    """503 with a sentence and Retry-After, at once."""
    environment = provisioned.environment | {"K1_GATEWAY_INGEST_URL": "http://127.0.0.1:9"}
    with running_service("gateway", environment, tmp_path) as lonely:
        response = await asyncio.to_thread(
            httpx.post, lonely.url + URL, files={"file": ("a.wav", songs.wav())}, timeout=PATIENCE_S
        )
    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    assert response.headers["Retry-After"] == "5"
