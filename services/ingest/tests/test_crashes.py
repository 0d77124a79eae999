"""Recovery from crashes of ingest, of the broker and of the object store."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from nats.js import JetStreamContext

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_contracts.tracks import AudioRef
from k1_ingest.uploads.claim_store import Claim, ClaimStore, PendingObject
from k1_ingest.uploads.track_publisher import ORPHAN_AGE, TrackPublisher
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.nats.streams import publisher as platform_publisher
from k1_platform.storage.objects import ObjectStore
from services.ingest.tests import songs
from services.ingest.tests.test_upload import in_progress, published_events, stored_objects, upload
from tests.support.bus import connected_bus, connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.servers.nats_server import running_nats_server
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually

NOW = datetime(2126, 5, 1, 12, tzinfo=UTC)
"""Ahead of every clock: an ingest that runs for other tests sweeps as well, and what is here too old is new to it."""


def claim_of(sha: str) -> Claim:
    track_id = new_id("trk")
    audio = AudioRef(
        key=f"audio/{track_id}/source.wav",
        sha256=sha,
        size_bytes=4,
        container="wav",
        codec="pcm_s16le",
        sample_rate_hz=44_100,
        channels=1,
    )
    event = TrackUploaded(
        track_id=track_id, job_id=new_id("job"), audio=audio, filename="a.wav", title="a", uploaded_at=NOW
    )
    return Claim(state="claimed", event=event)


@pytest.fixture
async def claims(jetstream: JetStreamContext) -> ClaimStore:
    return await ClaimStore.open(jetstream)


@pytest.fixture
async def publisher(
    provisioned: object, claims: ClaimStore, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[datetime], TrackPublisher]]:
    """Return a function that makes a publisher with a given clock."""
    monkeypatch.setattr(platform_publisher, "PUBLISH_TIMEOUT_S", PATIENCE_S)
    async with connected_bus() as bus:
        yield lambda now: TrackPublisher(bus, claims, objects, lambda: now)


async def test_an_unpublished_claim_is_published_once(
    publisher: Callable[[datetime], TrackPublisher],
    claims: ClaimStore,
    objects: ObjectStore,
    jetstream: JetStreamContext,
    unique: str,
) -> None:
    """A crash after the claim: the sweep publishes the event, a second sweep changes nothing, the entry is removed."""
    claim = claim_of(sha256(unique.encode()).hexdigest())
    track_id, key = claim.event.track_id, claim.event.audio.key
    await claims.add_pending(
        track_id, PendingObject(sha256=claim.event.audio.sha256, object_key=key, since=NOW)
    )
    await objects.put_bytes(key, b"song", "audio/wav")
    await claims.claim(claim.event.audio.sha256, claim)
    for _ in range(2):
        await publisher(NOW).sweep()
    [(_, event)] = await published_events(jetstream, track_id)
    assert event == claim.event
    found = await claims.find(claim.event.audio.sha256)
    assert found
    assert found.claim.state == "announced"
    assert track_id not in dict(await claims.list_pending())


async def test_an_unclaimed_object_is_deleted_when_it_is_old(
    publisher: Callable[[datetime], TrackPublisher], claims: ClaimStore, objects: ObjectStore, unique: str
) -> None:
    """A crash before the claim: while the upload may still run, nothing changes; then the object is deleted."""
    track_id = new_id("trk")
    key = f"audio/{track_id}/source.wav"
    await claims.add_pending(
        track_id, PendingObject(sha256=sha256(unique.encode()).hexdigest(), object_key=key, since=NOW)
    )
    await objects.put_bytes(key, b"song", "audio/wav")
    await publisher(NOW + ORPHAN_AGE).sweep()
    assert await objects.exists(key)
    await publisher(NOW + ORPHAN_AGE + timedelta(seconds=1)).sweep()
    assert not await objects.exists(key)
    assert track_id not in dict(await claims.list_pending())


async def test_a_claim_without_its_object_is_removed(
    publisher: Callable[[datetime], TrackPublisher],
    claims: ClaimStore,
    jetstream: JetStreamContext,
    unique: str,
) -> None:
    """No track is published without its audio; the bytes can be uploaded again."""
    claim = claim_of(sha256(unique.encode()).hexdigest())
    digest = claim.event.audio.sha256
    await claims.claim(digest, claim)
    pending = PendingObject(sha256=digest, object_key=claim.event.audio.key, since=NOW)
    await claims.add_pending(claim.event.track_id, pending)
    await publisher(NOW).sweep()
    assert await claims.find(digest) is None
    assert await published_events(jetstream, claim.event.track_id) == []
    again = claim_of(digest)
    assert await claims.claim(digest, again) == again


async def test_the_next_upload_finishes_an_interrupted_one(
    http: httpx.Client, claims: ClaimStore, objects: ObjectStore, jetstream: JetStreamContext, unique: str
) -> None:
    """For the same bytes, the claimed track is published under its own ids, and is the response."""
    data = songs.wav(2.0, int(unique[:7], 16))
    claim = claim_of(sha256(data).hexdigest())
    await objects.put_bytes(claim.event.audio.key, data, "audio/wav")
    await claims.claim(claim.event.audio.sha256, claim)
    response = await asyncio.to_thread(upload, http, data)
    assert (response.status_code, response.json()["track_id"]) == (200, claim.event.track_id)
    [(_, event)] = await published_events(jetstream, claim.event.track_id)
    assert event == claim.event


async def test_kill_9_during_an_upload_leaves_nothing(
    provisioned: Infrastructure, objects: ObjectStore, tmp_path: Path, unique: str
) -> None:
    """The connection closes, no object and no spool stay, and a new ingest accepts the song."""
    before = await stored_objects(objects)
    data = songs.wav(20.0, int(unique[:7], 16))
    spools = tmp_path / "spool"
    spools.mkdir()
    environment = provisioned.environment | {
        "K1_INGEST_SPOOL_DIR": str(spools),
        "K1_INGEST_RECEIVE_TIMEOUT_S": "600",  # the client pauses until the kill, whenever that is
    }
    with running_service("ingest", environment, tmp_path) as doomed:
        url = httpx.URL(doomed.url)
        with socket.create_connection((url.host, url.port or 80)) as connection:
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
            connection.sendall(
                b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 9000000\r\n\r\n" + head + data
            )
            await eventually(
                lambda: asyncio.to_thread(lambda: in_progress(doomed) == 1), "the upload is in progress"
            )
            doomed.process.kill()
            connection.settimeout(PATIENCE_S)
            assert not _answer(connection)
    assert await stored_objects(objects) == before
    assert list(spools.iterdir()) == []
    with (
        running_service("ingest", environment, tmp_path) as fresh,
        httpx.Client(base_url=fresh.url, timeout=PATIENCE_S) as http,
    ):
        assert (await asyncio.to_thread(upload, http, data)).status_code == 202


def _answer(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1000)
    except ConnectionError:
        return b""


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a provisioned broker that a test may kill."""
    with running_nats_server(tmp_path / "nats", provisioned=True) as server:
        yield server


async def test_uploads_fail_without_the_broker_and_lost_events_are_published_again(
    provisioned: Infrastructure, objects: ObjectStore, own_nats: NatsServer, tmp_path: Path, unique: str
) -> None:
    """While it is down: 503, nothing stored. When it lost the last events in a kill, they are published again."""
    seed = int(unique[:7], 16)
    environment = provisioned.environment | {
        "K1_NATS_URL": own_nats.url,
        "K1_NATS_CREDS": str(own_nats.keys.service_credentials("ingest")),
    }
    with ExitStack() as running:
        service = running.enter_context(running_service("ingest", environment, tmp_path))
        http = running.enter_context(httpx.Client(base_url=service.url, timeout=PATIENCE_S))
        accepted = (await asyncio.to_thread(upload, http, songs.wav(2.0, seed))).json()
        before = await stored_objects(objects)
        own_nats.kill()
        refused = await asyncio.to_thread(upload, http, songs.wav(2.0, seed + 1))
        assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")
        assert refused.headers["Retry-After"] == "5"
        assert await stored_objects(objects) == before
        shutil.rmtree(own_nats.home.data("nats") / "jetstream")
        own_nats.start()
        async with connected_client(own_nats.settings) as client:
            jetstream = client.jetstream(timeout=PATIENCE_S)
            await provision_bus(jetstream)
            events = await eventually(
                lambda: published_events(jetstream, accepted["track_id"]),
                "the event is published again",
                interval_s=0.1,
            )
        assert [event.job_id for _, event in events] == [accepted["job_id"]]
        again = (await asyncio.to_thread(upload, http, songs.wav(2.0, seed))).json()
        assert again == accepted | {"status": "existing"}


async def test_uploads_fail_without_the_object_store(
    provisioned: Infrastructure, tmp_path: Path, unique: str
) -> None:
    """Nothing is accepted, the client gets Retry-After, and readiness names the store."""
    environment = provisioned.environment | {"K1_S3_URL": "http://127.0.0.1:9"}
    song = songs.wav(2.0, int(unique[:7], 16))
    with running_service("ingest", environment, tmp_path, wait_until_ready=False) as service:
        response = await asyncio.to_thread(
            httpx.post, f"{service.url}/upload", files={"file": ("a.wav", song)}, timeout=PATIENCE_S
        )
        readiness = await asyncio.to_thread(httpx.get, f"{service.url}/readyz", timeout=PATIENCE_S)
    assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")
    assert readiness.status_code == 503
    assert readiness.json()["checks"]["objects"] != "ok"
