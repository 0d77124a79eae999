"""Uploads into a real ingest process."""

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.envelope import Envelope
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED, TrackUploaded
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads.claim_store import ClaimStore
from k1_platform.storage.objects import ObjectStore
from services.ingest.tests import songs
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S, eventually

TURNS = IngestSettings.model_fields["concurrent_uploads"].default


@pytest.fixture
def seed(unique: str) -> int:
    """Return the seed of a song that no other test uploads."""
    return int(unique[:7], 16)


def upload(http: httpx.Client, data: bytes, name: str = "song.wav", **fields: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if (key := fields.pop("key", None)) else {}
    return http.post("/upload", files={"file": (name, data)}, data=fields, headers=headers)


async def published_events(
    jetstream: JetStreamContext, track_id: str
) -> list[tuple[Envelope, TrackUploaded]]:
    """Return the events of one track, read from the stream."""
    found: list[tuple[Envelope, TrackUploaded]] = []
    following = 1
    while True:
        try:
            message = await jetstream.get_msg(
                streams.EVENTS, seq=following, subject=TRACK_UPLOADED.subject, next=True
            )
        except NotFoundError:
            return found
        following = (message.seq or 0) + 1
        if track_id.encode() in (message.data or b""):
            event = TrackUploaded.model_validate_json(message.data or b"")
            found.append((Envelope.from_headers(message.headers or {}), event))


async def stored_objects(objects: ObjectStore) -> set[str]:
    """Return the keys of the audio objects in the store."""
    listed = await asyncio.to_thread(
        lambda: list(objects._minio.list_objects(objects._bucket, recursive=True))
    )
    return {item.object_name or "" for item in listed}


async def test_an_accepted_song_is_stored_and_published(
    http: httpx.Client, jetstream: JetStreamContext, objects: ObjectStore, seed: int
) -> None:
    """After 202 the store has the bytes, and the stream has the event with every field of the form."""
    data = songs.wav(2.0, seed)
    response = await asyncio.to_thread(
        upload, http, data, "../über 🎧.wav", artist="DJ", tags="a, b", preset="edm", priority="7"
    )
    assert response.status_code == 202
    body = response.json()
    assert body["status"] == "queued"
    [(envelope, event)] = await published_events(jetstream, body["track_id"])
    assert envelope.source == "k1/ingest"
    assert (event.job_id, event.filename, event.title) == (body["job_id"], "über 🎧.wav", "über 🎧")
    assert (event.artist, event.tags, event.preset, event.priority) == ("DJ", ["a", "b"], "edm", 7)
    audio = event.audio
    assert (audio.sha256, audio.size_bytes) == (sha256(data).hexdigest(), len(data))
    assert (audio.container, audio.codec, audio.duration_ms) == ("wav", "pcm_s16le", 2000.0)
    assert await objects.get_bytes(audio.key) == data


async def test_the_same_bytes_are_the_same_track(
    http: httpx.Client, jetstream: JetStreamContext, objects: ObjectStore, seed: int
) -> None:
    """Under any name: 200 with the first ids, one event, no second object."""
    first = await asyncio.to_thread(upload, http, songs.wav(2.0, seed))
    before = await stored_objects(objects)
    again = await asyncio.to_thread(upload, http, songs.wav(2.0, seed), "other.wav", title="Other")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"status": "existing"}
    assert len(await published_events(jetstream, first.json()["track_id"])) == 1
    assert await stored_objects(objects) == before


async def test_the_same_bytes_at_once_are_one_track(
    http: httpx.Client, jetstream: JetStreamContext, objects: ObjectStore, seed: int
) -> None:
    """Of twelve simultaneous uploads one makes the track and the others find it; one object stays."""
    data = songs.wav(2.0, seed)
    before = await stored_objects(objects)
    with ThreadPoolExecutor(12) as threads:
        responses = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, upload, http, data) for _ in range(12))
        )
    assert sorted(response.status_code for response in responses) == [200] * 11 + [202]
    [track_id] = {response.json()["track_id"] for response in responses}
    assert len(await published_events(jetstream, track_id)) == 1
    assert await stored_objects(objects) - before == {f"audio/{track_id}/source.wav"}


async def test_nothing_stays_pending(http: httpx.Client, jetstream: JetStreamContext, seed: int) -> None:
    """The entry that guards against a crash is removed when the event of the song was published."""
    response = await asyncio.to_thread(upload, http, songs.wav(2.0, seed))
    claims = await ClaimStore.open(jetstream)
    assert response.json()["track_id"] not in dict(await claims.list_pending())
    found = await claims.find(sha256(songs.wav(2.0, seed)).hexdigest())
    assert found
    assert found.claim.state == "announced"


def test_an_idempotency_key_gives_the_first_response_again(
    http: httpx.Client, seed: int, unique: str
) -> None:
    """A retry gets the first response; the same key with another song is rejected."""
    first = upload(http, songs.wav(2.0, seed), key=f"k-{unique}")
    again = upload(http, songs.wav(2.0, seed), key=f"k-{unique}")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 202
    other = upload(http, songs.wav(2.0, seed + 1), key=f"k-{unique}")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert upload(http, songs.wav(2.0, seed + 1), key=f"other-{unique}").status_code == 202


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"These are words, not sounds.\n" * 100, 415, "unsupported_format"),
        (songs.wav(1 / songs.RATE), 422, "too_short"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x10" + b"words " * 2000, 422, "decode_failed"),
        (b"%PDF-1.7" + bytes(3_000_000), 415, "unsupported_format"),
        (songs.wav(1.0, rate=8000, width=1)[:40] + b"\xff" * 4 + bytes(21 * 60 * 8000), 422, "too_long"),
    ],
)
async def test_files_that_are_no_songs_are_rejected_and_leave_nothing(
    http: httpx.Client, objects: ObjectStore, data: bytes, status: int, code: str
) -> None:
    """The response has a code and a sentence that says what to do; no object stays."""
    before = await stored_objects(objects)
    response = await asyncio.to_thread(upload, http, data, "song.mp3")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["message"].endswith(".")
    assert await stored_objects(objects) == before


async def test_the_container_behind_a_long_tag_is_detected(
    http: httpx.Client, jetstream: JetStreamContext, objects: ObjectStore, seed: int
) -> None:
    """A FLAC with a cover in an ID3 tag is a FLAC, and every byte of it is stored."""
    data = b"ID3\x03\0\0" + bytes([0, 24, 0, 0]) + bytes(24 << 14) + songs.encoded("flac", 2.0, seed)
    response = await asyncio.to_thread(upload, http, data, "song.flac")
    assert response.status_code == 202, response.text
    [(_, event)] = await published_events(jetstream, response.json()["track_id"])
    assert (event.audio.container, event.audio.codec, event.audio.duration_ms) == ("flac", "flac", 2000.0)
    assert await objects.get_bytes(event.audio.key) == data


async def test_a_file_of_51_mb_is_rejected_while_it_arrives(http: httpx.Client, objects: ObjectStore) -> None:
    """So it is when its length was not declared; nothing of it stays."""
    before = await stored_objects(objects)
    head, rest = _multipart(songs.wav(1.0)[:44])
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield head
        while sent < 80_000_000:
            sent += 1_000_000
            yield bytes(1_000_000)
        yield rest

    response = await asyncio.to_thread(
        http.post, "/upload", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert "50 MB" in response.json()["message"]
    assert await stored_objects(objects) == before


def _multipart(start: bytes) -> tuple[bytes, bytes]:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + start
    return head, b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", b"{}", "multipart/form-data"),
        ("multipart/form-data", b"x", "boundary"),
        ("multipart/form-data; boundary=b", b"no boundary at all", "boundary"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b--\r\n',
            "no part named `file`",
        ),
        ("multipart/form-data; boundary=b", _multipart(b"ID3" + bytes(9000))[0], "to its end"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + b"x" * 20_000 + b"\r\n--b--\r\n",
            "title is longer",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\xfe\r\n--b--\r\n',
            "not UTF-8",
        ),
        *(
            ("multipart/form-data; boundary=b", b"--b\r\n" + header + b"\r\n\r\nx\r\n--b--\r\n", words)
            for header, words in (
                (b'Content-Disposition: form-data; name="file"; filename="a\x00.wav"', "to its end"),
                (b'Content-Disposition: form-data; name="file"; filename="a\x1f.wav"', "to its end"),
                (
                    b'Content-Disposition: form-data; name="' + b"a" * 9_000 + b'"',
                    "header of a part is too long",
                ),
                (b"X: y\r\n" * 200, "Too many headers"),
                (b"no colon", "to its end"),
                (b"Content-Type: multipart/mixed", "boundary"),
                (b'Content-Disposition: form-data; name="\xff\xfe"', "no part named"),
                (b"Content-Disposition: form-data; name=_charset_", "to its end"),
            )
        ),
        ("multipart/form-data; boundary=" + "b" * 80, b"x", "boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\n", "to its end"),
        ("multipart/form-data; boundary=b", b"", "boundary"),
    ],
)
def test_a_malformed_form_is_rejected(http: httpx.Client, content_type: str, body: bytes, words: str) -> None:
    """The message names the fault."""
    response = http.post("/upload", content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_upload")
    assert words in response.json()["message"]


def test_fields_may_come_after_the_file(http: httpx.Client, seed: int) -> None:
    """Parts may have any order; an invalid field after the file rejects the upload as well."""
    head, _ = _multipart(songs.wav(2.0, seed))
    tail = b'\r\n--b\r\nContent-Disposition: form-data; name="priority"\r\n\r\n%d\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused = http.post("/upload", content=head + tail % 77, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "priority")
    assert http.post("/upload", content=head + tail % 7, headers=headers).status_code == 202


async def test_disconnected_clients_leave_nothing(
    ingest: RunningService, http: httpx.Client, objects: ObjectStore
) -> None:
    """As many as may upload at once disconnect: no object, no spool, no slot stays, and the next upload is accepted."""
    before = await stored_objects(objects)
    head, _ = _multipart(songs.wav(3.0)[:250_000])
    address = (httpx.URL(ingest.url).host, httpx.URL(ingest.url).port or 80)
    with contextlib.ExitStack() as clients:
        for _ in range(TURNS):
            connection = clients.enter_context(socket.create_connection(address))
            connection.sendall(
                b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 9000000\r\n\r\n" + head
            )
        await eventually(
            lambda: asyncio.to_thread(
                lambda: in_progress(ingest) == TURNS and len(_spools(ingest.process.pid)) == TURNS
            ),
            "every upload is in progress and has its spool",
        )
    response = await asyncio.to_thread(upload, http, b"words")
    assert response.status_code == 415
    await eventually(
        lambda: asyncio.to_thread(lambda: in_progress(ingest) == 0 and not _spools(ingest.process.pid)),
        "no upload and no spool stays",
    )
    assert await stored_objects(objects) == before


def in_progress(ingest: RunningService) -> int:
    """Return the number of uploads in progress."""
    metrics = httpx.get(f"{ingest.url}/metrics", timeout=PATIENCE_S).text
    return int(float(metrics.split("\nk1_ingest_uploads_in_progress ")[1].split()[0]))


def _spools(pid: int) -> list[str]:
    """Return the open files of the process that have no name."""
    found: list[str] = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()) if int(descriptor.name) > 2 else "")
    return [link for link in found if link.startswith(tempfile.gettempdir()) and link.endswith("(deleted)")]


def test_memory_stays_flat_during_50_mb(ingest: RunningService, http: httpx.Client, unique: str) -> None:
    """A song of 50 MB needs the memory of a few parts; its spool is on disk."""
    data = songs.wav(1.0)[:44] + os.urandom(49_999_000)
    upload(http, songs.wav(2.0, int(unique[:7], 16)))  # whatever is loaded lazily is loaded now
    before = psutil.Process(ingest.process.pid).memory_info().rss
    Path(f"/proc/{ingest.process.pid}/clear_refs").write_text("5")  # resets the peak
    response = upload(http, data)
    status = Path(f"/proc/{ingest.process.pid}/status").read_text()
    peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
    assert response.status_code == 202
    assert peak - before < 32 * 1024 * 1024


def test_the_metrics_count_outcomes(http: httpx.Client) -> None:
    """An operator sees how many uploads are accepted, and why others are rejected."""
    upload(http, b"words")
    metrics = http.get("/metrics").text
    assert 'k1_ingest_uploads_total{outcome="unsupported_format"}' in metrics


def test_readiness_asks_every_dependency(http: httpx.Client) -> None:
    """The broker, the store, the buckets and the probe."""
    assert set(json.loads(http.get("/readyz").text)["checks"]) == {
        "nats",
        "objects",
        "claims",
        "open uploads",
        "probe",
    }


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("Say %22hi%22.wav", 'Say "hi".wav'),
        ("100%25 loud.wav", "100%25 loud.wav"),
        ("line%0D%0Abreak%00.wav", "line break.wav"),
    ],
)
async def test_a_file_name_is_decoded(
    http: httpx.Client, jetstream: JetStreamContext, unique: str, filename: str, name: str
) -> None:
    """Encoded characters of browsers are decoded, other percent signs stay, control characters are removed."""
    song = songs.wav(2.0, int(unique[:7], 16))
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = head.encode() + song + b"\r\n--b--\r\n"
    response = await asyncio.to_thread(http.post, "/upload", content=body, headers=headers)
    [(_, event)] = await published_events(jetstream, response.json()["track_id"])
    assert (event.filename, event.title) == (name, name.removesuffix(".wav"))
