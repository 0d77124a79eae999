"""Audio, waveforms and links over HTTP, from a real object store."""

import hashlib
import random
from datetime import timedelta

import httpx
import pytest

from k1_contracts.messages.catalogue.media import AUDIO_GET, WAVEFORM_GET, AudioSource, GetAudio, StoredObject
from k1_contracts.messages.catalogue.storage import LINK_OPEN, OpenLink
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.storage.objects import ObjectStore
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.media.test_waveform_data import dat

API = "/api/v1"
AUDIO = f"{API}/tracks/{samples.TRACK}/audio"
WAVEFORM = f"{API}/tracks/{samples.TRACK}/waveform"
TOKEN = "t" * 43
CONTENT = random.Random(1).randbytes(300_000)


async def stored(objects: ObjectStore, content: bytes, kind: str = "audio/mpeg") -> StoredObject:
    """Store the content and return where it lies."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"tests/{sha256}"
    await objects.put_bytes(key, content, kind)
    return StoredObject(
        url=objects.signed_url(key, expires=timedelta(minutes=5), internal=True),
        size_bytes=len(content),
        sha256=sha256,
        content_type=kind,
        filename='nächte "\r\nSet-Cookie: a=b".mp3',
    )


async def audio(objects: ObjectStore, **changes: object) -> AudioSource:
    source = await stored(objects, CONTENT)
    fields = source.model_dump() | changes | {"audio": samples.track().track.audio}
    return AudioSource.model_validate(fields)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, CONTENT),
        ("bytes=0-", CONTENT),
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=100000-200000", CONTENT[100_000:200_001]),
        ("bytes=-7", CONTENT[-7:]),
        ("bytes=299999-400000", CONTENT[299_999:]),
        ("bytes=1-2,5-6", CONTENT),
    ],
)
async def test_audio_in_parts(
    http: httpx.AsyncClient, owners: Owners, objects: ObjectStore, wanted: str | None, expected: bytes
) -> None:
    """A player gets exactly the bytes that it asks for; the name of the file cannot add a header."""
    owners.respond_with(AUDIO_GET.subject, await audio(objects))
    response = await http.get(AUDIO, headers={"Range": wanted} if wanted else {})
    partial = len(expected) < len(CONTENT) or wanted == "bytes=0-"
    assert (response.status_code, response.content) == (206 if partial else 200, expected)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Length"] == str(len(expected))
    assert ("Content-Range" in response.headers) == partial
    assert response.headers["Content-Disposition"].startswith('inline; filename="n')
    assert "Set-Cookie" not in response.headers


async def test_the_small_copy(http: httpx.AsyncClient, owners: Owners, objects: ObjectStore) -> None:
    """The catalogue is told what is wanted; the tag of the copy is its own, and other formats do not exist."""
    copy = await stored(objects, b"OggS" * 50, "audio/ogg")
    owners.respond_with(AUDIO_GET.subject, await audio(objects))
    original = await http.get(AUDIO)
    owners.respond_with(AUDIO_GET.subject, await audio(objects, **copy.model_dump()))
    part = await http.get(AUDIO, params={"format": "opus"}, headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content, part.headers["Content-Type"]) == (206, b"OggSOg", "audio/ogg")
    assert part.headers["ETag"] != original.headers["ETag"]
    formats = [each.format for each in owners.received if isinstance(each, GetAudio)]
    assert formats == ["original", "opus"]
    refused = await http.get(AUDIO, params={"format": "mp3"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_parameter")
    owners.respond_with(AUDIO_GET.subject, QueryError("audio_copy_failed", "Use the original.", 422))
    assert (await http.get(AUDIO, params={"format": "opus"})).json()["code"] == "audio_copy_failed"


async def test_audio_without_a_transfer(
    http: httpx.AsyncClient, owners: Owners, objects: ObjectStore
) -> None:
    """HEAD, a copy that the client holds, a part of other content, and a part behind the end."""
    owners.respond_with(AUDIO_GET.subject, await audio(objects))
    head = await http.head(AUDIO, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "300000", b"")
    tag = head.headers["ETag"]
    held = await http.get(AUDIO, headers={"If-None-Match": tag, "Range": "bytes=0-1"})
    assert (held.status_code, held.content) == (304, b"")
    same = await http.get(AUDIO, headers={"If-Range": tag, "Range": "bytes=0-1"})
    assert (same.status_code, same.content) == (206, CONTENT[:2])
    other = await http.get(AUDIO, headers={"If-Range": '"other"', "Range": "bytes=0-1"})
    assert (other.status_code, len(other.content)) == (200, 300_000)
    behind = await http.get(AUDIO, headers={"Range": "bytes=300000-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, "bytes */300000")


async def test_a_store_that_fails(http: httpx.AsyncClient, owners: Owners, objects: ObjectStore) -> None:
    """A missing object and an absent store are problems; a download that ends early does not look complete."""
    gone = objects.signed_url("tests/absent", expires=timedelta(minutes=5), internal=True)
    owners.respond_with(AUDIO_GET.subject, await audio(objects, url=gone))
    assert (await http.get(AUDIO)).json()["code"] == "object_missing"
    owners.respond_with(AUDIO_GET.subject, await audio(objects, url="http://127.0.0.1:9/x"))
    response = await http.get(AUDIO)
    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    owners.respond_with(AUDIO_GET.subject, await audio(objects, size_bytes=300_001))
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(AUDIO)


async def test_waveforms(http: httpx.AsyncClient, owners: Owners, objects: ObjectStore) -> None:
    """Binary by default, JSON on request, downsampled on request; each has its own tag."""
    points = [[-number % 128 - 128, number % 128] for number in range(420)]
    source = await stored(objects, dat(points), "application/octet-stream")
    owners.respond_with(WAVEFORM_GET.subject, source)
    whole = await http.get(WAVEFORM)
    assert (whole.status_code, whole.content) == (200, dat(points))
    json = await http.get(WAVEFORM, params={"samples_per_s": 10}, headers={"Accept": "application/json"})
    assert (json.json()["samples_per_pixel"], json.json()["length"]) == (210 * 21, 20)
    assert json.headers["ETag"] != whole.headers["ETag"]
    held = await http.get(WAVEFORM, headers={"If-None-Match": whole.headers["ETag"]})
    assert (held.status_code, held.content) == (304, b"")
    assert (await http.get(WAVEFORM, params={"samples_per_s": 0})).status_code == 422
    owners.respond_with(WAVEFORM_GET.subject, await stored(objects, b"no waveform"))
    broken = await http.get(WAVEFORM)
    assert (broken.status_code, broken.json()["code"]) == (404, "waveform_missing")


async def test_a_link_is_saved_and_never_cached(
    http: httpx.AsyncClient, owners: Owners, objects: ObjectStore
) -> None:
    """The first part counts as a use, HEAD and later parts do not; an ended link is 410."""
    owners.respond_with(LINK_OPEN.subject, await stored(objects, b"\x00\x01\x02", "application/octet-stream"))
    url = f"{API}/links/{TOKEN}"
    response = await http.get(url)
    assert (response.content, response.headers["Cache-Control"]) == (b"\x00\x01\x02", "private, no-store")
    assert response.headers["Content-Disposition"].startswith("attachment;")
    await http.head(url)
    assert (await http.get(url, headers={"Range": "bytes=1-"})).content == b"\x01\x02"
    counted = [each.count for each in owners.received if isinstance(each, OpenLink)]
    assert counted == [True, False, False]
    owners.respond_with(LINK_OPEN.subject, QueryError("link_revoked", "It was revoked.", 410))
    assert (await http.get(url)).status_code == 410
