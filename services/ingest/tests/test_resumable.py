"""Resumable uploads after tus 1.0 into real ingest processes."""

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.js import JetStreamContext

from k1_contracts.ids import new_id
from k1_ingest.errors import UploadRejectedError
from k1_ingest.open_uploads.store import OBJECTS, OpenUploads
from k1_ingest.open_uploads.sweep import ORPHAN_AGE, OpenUploadSweep
from k1_ingest.resumable import protocol
from k1_ingest.resumable.part_writer import PartWriter
from k1_ingest.resumable.record import LIFETIME, MANY_PARTS, PART_BYTES, ResumableUpload
from k1_ingest.resumable.tus_service import TusService
from k1_platform.errors import TransientError
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from services.ingest.tests import songs
from services.ingest.tests.test_upload import published_events
from tests.support.bus import connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually

TUS = {"Tus-Resumable": "1.0.0"}


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(http: httpx.Client, length: int | None, **values: str) -> str:
    size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    given_metadata = {"Upload-Metadata": metadata(**values)} if values else {}
    response = http.post("/uploads", headers=TUS | size | given_metadata)
    assert response.status_code == 201, response.text
    return f"/uploads/{response.headers['Location']}"


def patch(http: httpx.Client, url: str, offset: int, data: Any, **headers: str) -> httpx.Response:
    sent = {**TUS, "Content-Type": protocol.CONTENT_TYPE, "Upload-Offset": str(offset)}
    return http.patch(url, content=data, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()})


def head(http: httpx.Client, url: str) -> httpx.Response:
    return http.head(url, headers=TUS)


@pytest.fixture
def song(unique: str) -> bytes:
    """Return a song that no other test uploads."""
    return songs.wav(2.0, int(unique[:7], 16))


async def parts_of(objects: ObjectStore, url: str) -> list[str]:
    prefix = OBJECTS + url.rpartition("/")[2]
    return [each.key async for batch in objects.batches(prefix) for each in batch]


async def test_a_whole_upload_is_a_track(
    http: httpx.Client, jetstream: JetStreamContext, objects: ObjectStore, song: bytes
) -> None:
    """PATCH and HEAD name the track and the job, the event has the metadata, and no part stays."""
    url = create(http, len(song), filename="ü.wav", title="Night", tags='["a, b"]', preset="classical", x="y")
    first = patch(http, url, 0, song[:50_000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "50000")
    shown = head(http, url)
    assert (shown.headers["Upload-Offset"], shown.headers["Upload-Length"]) == ("50000", str(len(song)))
    assert protocol.parse_metadata(shown.headers["Upload-Metadata"])["filename"] == "ü.wav"
    assert "K1-Track-Id" not in shown.headers
    assert len(await parts_of(objects, url)) == 1
    last = patch(http, url, 50_000, song[50_000:])
    assert (last.status_code, last.headers["K1-Upload-Status"]) == (204, "queued")
    track_id = last.headers["K1-Track-Id"]
    [(_, event)] = await published_events(jetstream, track_id)
    assert (event.job_id, event.filename, event.title) == (last.headers["K1-Job-Id"], "ü.wav", "Night")
    assert (event.tags, event.preset) == (["a, b"], "orchestral")
    assert await objects.get_bytes(event.audio.key) == song
    assert head(http, url).headers["K1-Track-Id"] == track_id
    assert await parts_of(objects, url) == []
    again = create(http, len(song))
    known = patch(http, again, 0, song)
    assert (known.headers["K1-Upload-Status"], known.headers["K1-Track-Id"]) == ("existing", track_id)


def test_what_the_server_can_is_described(http: httpx.Client) -> None:
    response = http.options("/uploads")
    assert response.status_code == 204
    assert response.headers["Tus-Extension"] == protocol.EXTENSIONS
    assert response.headers["Tus-Max-Size"] == "50000000"
    refused = http.post("/uploads", headers={"Tus-Resumable": "0.2.0", "Upload-Length": "1"})
    assert (refused.status_code, refused.headers["Tus-Version"]) == (412, "1.0.0")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Length": "50000001"}, 413, "too_large"),
        ({"Upload-Length": "0"}, 422, "empty_file"),
        ({"Upload-Length": "-1"}, 400, "invalid_upload_header"),
        ({}, 400, "invalid_upload_header"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400, "invalid_upload_header"),
        ({"Upload-Length": "5", "Upload-Metadata": "filename ???"}, 400, "invalid_upload_header"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(preset="polka")}, 422, "invalid_form"),
    ],
)
def test_a_wrong_creation_is_rejected(
    http: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    response = http.post("/uploads", headers=TUS | headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("algorithm", protocol.ALGORITHMS)
async def test_a_wrong_checksum_keeps_nothing(
    http: httpx.Client, objects: ObjectStore, song: bytes, algorithm: str
) -> None:
    """460, and the offset stays; the right one counts."""
    url = create(http, len(song))

    def checksum(data: bytes) -> str:
        return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"

    wrong = patch(http, url, 0, song[:9000], Upload_Checksum=checksum(b"other"))
    assert (wrong.status_code, wrong.json()["code"]) == (460, "checksum_mismatch")
    assert head(http, url).headers["Upload-Offset"] == "0"
    assert await parts_of(objects, url) == []
    assert patch(http, url, 0, song[:9000], Upload_Checksum=checksum(song[:9000])).status_code == 204
    unknown = patch(http, url, 9000, song[9000:], Upload_Checksum="md5 AAAA")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "invalid_upload_header")


async def test_an_upload_is_terminated(http: httpx.Client, objects: ObjectStore, song: bytes) -> None:
    url = create(http, len(song))
    patch(http, url, 0, song[:9000])
    assert (await asyncio.to_thread(http.delete, url, headers=TUS)).status_code == 204
    assert await parts_of(objects, url) == []
    assert [head(http, url).status_code, patch(http, url, 9000, b"x").status_code] == [404, 404]
    assert head(http, "/uploads/upl_*").status_code == 404


def test_only_the_bytes_that_follow_are_taken(http: httpx.Client, song: bytes) -> None:
    """409 for another offset, 413 for more than was declared, 415 for another kind of body."""
    url = create(http, 100)
    assert patch(http, url, 0, song[:60]).status_code == 204
    for offset in (0, 59, 61):
        refused = patch(http, url, offset, b"x")
        assert (refused.status_code, refused.json()["code"]) == (409, "offset_conflict")
    assert patch(http, url, 60, song[:41]).status_code == 413
    assert patch(http, url, 60, iter([song[:20], song[:21]])).status_code == 413
    assert patch(http, url, 60, b"x", Content_Type="text/plain").status_code == 415
    # What fitted before the surplus is not counted, or counted whole; HEAD tells.
    assert head(http, url).headers["Upload-Offset"] in {"60", "80"}


async def test_one_of_two_writers_counts(http: httpx.Client, objects: ObjectStore, song: bytes) -> None:
    """At the same offset at the same time: the bytes are those of one of them, and no part of the other stays."""
    url = create(http, len(song))
    pieces = [song[:20_000], bytes(20_000)] * 3
    answers = await asyncio.gather(*(asyncio.to_thread(patch, http, url, 0, piece) for piece in pieces))
    assert sorted(answer.status_code for answer in answers) == [204] + [409] * 5
    assert head(http, url).headers["Upload-Offset"] == "20000"
    assert len(await parts_of(objects, url)) == 1


async def test_a_rejected_file_stays_rejected(http: httpx.Client, objects: ObjectStore, unique: str) -> None:
    """The last PATCH says why, and so does HEAD, by its status; nothing of the file stays."""
    data = b"words " * 100 + unique.encode()
    url = create(http, len(data), filename="a.mp3")
    refused = patch(http, url, 0, data)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_format")
    assert head(http, url).status_code == 415
    assert await parts_of(objects, url) == []


async def test_a_length_may_come_later(http: httpx.Client, jetstream: JetStreamContext, song: bytes) -> None:
    url = create(http, None)
    assert patch(http, url, 0, song[:1000]).status_code == 204
    assert head(http, url).headers["Upload-Defer-Length"] == "1"
    done = patch(http, url, 1000, song[1000:], Upload_Length=str(len(song)))
    assert done.headers["K1-Upload-Status"] == "queued"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 400), max_size=6), data=st.binary(min_size=400, max_size=400))
def test_any_way_of_cutting_gives_the_same_bytes(http: httpx.Client, cuts: list[int], data: bytes) -> None:
    """Empty pieces too. One byte is left out, so that the upload stays open and its parts can be read."""
    url = create(http, 401)
    edges = [0, *sorted(cuts), 400]
    for start, end in pairwise(edges):
        assert patch(http, url, start, data[start:end]).headers["Upload-Offset"] == str(end)
    assert stored_bytes(url) == data


def stored_bytes(url: str) -> bytes:
    """Return the bytes of an upload as its completion would read them."""

    async def read() -> bytes:
        objects = ObjectStore(ObjectStoreSettings())
        async with connected_client() as client:
            store = await OpenUploads.open(client.jetstream())
            found = await store.find(url.rpartition("/")[2], ResumableUpload)
            assert found is not None
            return b"".join([await objects.get_bytes(part.key) for part in found.record.parts])

    return asyncio.run(read())


@given(st.text(max_size=200))
def test_any_metadata_is_read_or_rejected(text: str) -> None:
    with contextlib.suppress(UploadRejectedError):
        found = protocol.parse_metadata(text)
        assert protocol.parse_metadata(metadata(**found)) == found


async def test_another_process_goes_on_after_a_kill(
    provisioned: Infrastructure,
    objects: ObjectStore,
    jetstream: JetStreamContext,
    tmp_path: Path,
    unique: str,
) -> None:
    """Ingest is killed in the middle of a PATCH; a second one that runs already takes the rest.

    It keeps what came before a client fell silent, too.
    """
    song = songs.wav(150.0, int(unique[:7], 16))
    environment = provisioned.environment | {"K1_INGEST_RECEIVE_TIMEOUT_S": "600"}
    with (
        running_service("ingest", environment, tmp_path) as doomed,
        running_service("ingest", environment | {"K1_INGEST_RECEIVE_TIMEOUT_S": "2"}, tmp_path) as other,
        httpx.Client(base_url=other.url, timeout=PATIENCE_S) as survivor,
    ):
        url = create(survivor, len(song), filename="long.wav")
        sent = PART_BYTES + 100_000
        connection = begin_patch(doomed.url, url, len(song), song[:sent])
        offset = await eventually(lambda: counted(survivor, url), "the first part is counted")
        doomed.process.kill()
        connection.close()
        assert offset == PART_BYTES
        with begin_patch(other.url, url, len(song) - offset, song[offset : offset + 7000], offset) as silent:
            silent.settimeout(PATIENCE_S)
            assert b" 408 " in await asyncio.to_thread(silent.recv, 100)
        assert await counted(survivor, url) == offset + 7000
        offset += 7000
        done = await asyncio.to_thread(patch, survivor, url, offset, song[offset:])
    assert done.headers["K1-Upload-Status"] == "queued"
    [(_, event)] = await published_events(jetstream, done.headers["K1-Track-Id"])
    assert await objects.get_bytes(event.audio.key) == song


def begin_patch(base: str, url: str, length: int, data: bytes, offset: int = 0) -> socket.socket:
    """Send the head and the beginning of a PATCH."""
    address = httpx.URL(base)
    connection = socket.create_connection((address.host, address.port or 80))
    head_lines = (
        f"PATCH {url} HTTP/1.1", "Host: x", "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}",
        f"Content-Type: {protocol.CONTENT_TYPE}", f"Content-Length: {length}",
    )  # fmt: skip
    connection.sendall("\r\n".join((*head_lines, "", "")).encode() + data)
    return connection


async def counted(http: httpx.Client, url: str) -> int:
    response = await asyncio.to_thread(head, http, url)
    return int(response.headers["Upload-Offset"])


@pytest.fixture
async def store(jetstream: JetStreamContext) -> OpenUploads:
    return await OpenUploads.open(jetstream)


async def test_an_expired_upload_is_removed_with_its_parts(
    http: httpx.Client, store: OpenUploads, objects: ObjectStore, song: bytes
) -> None:
    """And a part that no record knows, once no request can be about to count it."""
    url = create(http, len(song))
    patch(http, url, 0, song[:9000])
    upload_id = url.rpartition("/")[2]
    stray = f"{OBJECTS}{new_id('upl')}/000000000-x"
    await objects.put_bytes(stray, b"x", "application/octet-stream")

    def sweep(now: datetime) -> OpenUploadSweep:
        service = TusService(objects=objects, store=store, uploads=Any, clock=lambda: now, max_bytes=1)  # pyright: ignore[reportArgumentType]
        return OpenUploadSweep(store, objects, lambda: now, (service.expire,))

    now = datetime.now(UTC)
    await sweep(now + ORPHAN_AGE - timedelta(minutes=5)).sweep()
    assert await store.find(upload_id, ResumableUpload)
    assert await objects.exists(stray)
    await sweep(now + LIFETIME + timedelta(seconds=1)).sweep()
    assert await store.find(upload_id, ResumableUpload) is None
    assert await parts_of(objects, url) == []
    assert not await objects.exists(stray)


async def test_small_parts_are_joined(store: OpenUploads, objects: ObjectStore) -> None:
    """A client that sends single bytes makes no endless record, and the bytes stay in order."""
    upload_id = new_id("upl")
    now = datetime.now(UTC)
    await store.create(
        upload_id, ResumableUpload(length=999, metadata="", filename="", fields=[], expires_at=now)
    )
    data = bytes(range(MANY_PARTS + 8))

    async def one(byte: int) -> AsyncIterator[bytes]:
        yield bytes([byte])

    for byte in data:
        found = await store.find(upload_id, ResumableUpload)
        assert found
        await PartWriter(objects, store, lambda: now, upload_id, found, None, 999).write(one(byte))
    found = await store.find(upload_id, ResumableUpload)
    assert found
    assert (found.record.offset, len(found.record.parts)) == (len(data), MANY_PARTS)
    assert b"".join([await objects.get_bytes(part.key) for part in found.record.parts]) == data
    assert len(await parts_of(objects, upload_id)) == MANY_PARTS


async def test_a_part_is_kept_when_the_broker_may_have_counted_it(
    store: OpenUploads, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker wrote the record, but its answer was lost: removing the part would lose bytes."""
    upload_id = new_id("upl")
    now = datetime.now(UTC)
    await store.create(
        upload_id, ResumableUpload(length=9, metadata="", filename="", fields=[], expires_at=now)
    )
    found = await store.find(upload_id, ResumableUpload)
    assert found
    real = OpenUploads.replace

    async def lose_answer(*arguments: Any) -> None:
        await real(*arguments)
        raise TransientError("lost")

    async def body() -> AsyncIterator[bytes]:
        yield b"123"

    monkeypatch.setattr(OpenUploads, "replace", lose_answer)
    with pytest.raises(TransientError):
        await PartWriter(objects, store, lambda: now, upload_id, found, None, 9).write(body())
    found = await store.find(upload_id, ResumableUpload)
    assert found
    assert [await objects.get_bytes(part.key) for part in found.record.parts] == [b"123"]
