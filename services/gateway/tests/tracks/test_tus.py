"""Resumable uploads through the gateway, with real clients of tus 1.0: tuspy and tus-js-client."""

import asyncio
import io
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from services.gateway.tests.conftest import ORIGIN
from services.ingest.tests import songs
from tests.support.service_process import RunningService

URL = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = TUS | {"Content-Type": "application/offset+octet-stream"}
JS_CLIENT = Path(__file__).parent / "tus_client.mjs"


@pytest.fixture
def song(unique: str) -> bytes:
    return songs.wav(3.0, int(unique[:7], 16))


def test_tuspy_uploads_and_resumes(gateway: RunningService, song: bytes) -> None:
    """With a checksum for each piece; a second uploader goes on where the first one stopped."""
    client = TusClient(gateway.url + URL)
    metadata = {"filename": "nächte.wav", "title": "Nächte", "preset": "classical"}
    first = client.uploader(
        file_stream=io.BytesIO(song), chunk_size=70_000, metadata=metadata, upload_checksum=True
    )
    first.upload(stop_at=140_000)
    assert first.offset == 140_000
    second = client.uploader(file_stream=io.BytesIO(song), url=first.url, chunk_size=70_000)
    assert second.offset == 140_000
    second.upload()
    shown = httpx.head(first.url or "", headers=TUS).headers
    assert (shown["Upload-Offset"], shown["K1-Upload-Status"]) == (str(len(song)), "queued")
    assert shown["K1-Track-Id"].startswith("trk_")


def test_tuspy_hears_of_a_file_that_is_no_song(gateway: RunningService, unique: str) -> None:
    uploader = TusClient(gateway.url + URL).uploader(file_stream=io.BytesIO(b"words " + unique.encode()))
    with pytest.raises(TusCommunicationError) as refused:
        uploader.upload()
    assert refused.value.status_code == 415
    assert json.loads(refused.value.response_content or b"")["code"] == "unsupported_format"


def _js_client() -> Path | None:
    """Return the folder of node modules that has tus-js-client."""
    folder = Path(os.environ.get("K1_TUS_JS", "node_modules"))
    return folder if shutil.which("node") and (folder / "tus-js-client").is_dir() else None


@pytest.mark.skipif(
    _js_client() is None,
    reason="needs node, and tus-js-client (npm install tus-js-client) in node_modules or the folder K1_TUS_JS",
)
def test_tus_js_client_uploads_and_resumes(gateway: RunningService, song: bytes, tmp_path: Path) -> None:
    """It aborts after the first pieces, resumes from its store of URLs, and reads the track from the last response."""
    file = tmp_path / "song.wav"
    file.write_bytes(song)
    folder = _js_client()
    assert folder is not None
    (tmp_path / "node_modules").symlink_to(folder.resolve())
    script = tmp_path / JS_CLIENT.name
    shutil.copy(JS_CLIENT, script)
    done = subprocess.run(
        ["node", str(script), gateway.url + URL, str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "queued"
    assert told["track"].startswith("trk_")
    assert 0 < told["resumedAt"] < len(song)
    assert told["creations"] == 1


async def test_what_is_served_is_described(http: httpx.AsyncClient) -> None:
    """OPTIONS lists it; a preflight of a browser gets the headers that a page needs."""
    described = await http.options(URL)
    assert (described.status_code, described.headers["Tus-Version"]) == (204, "1.0.0")
    preflight = await http.options(URL, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"})
    assert "Upload-Offset" in preflight.headers["Access-Control-Allow-Headers"]
    created = await http.post(URL, headers=TUS | {"Upload-Length": "10", "Origin": ORIGIN})
    assert "Location" in created.headers["Access-Control-Expose-Headers"]


async def test_faults_are_problems(http: httpx.AsyncClient) -> None:
    """With the status that tus names, also 460, which HTTP does not know."""
    created = await http.post(URL, headers=TUS | {"Upload-Length": "10"})
    url = created.headers["Location"]
    wrong = await http.patch(
        url, content=b"abc", headers=PATCH | {"Upload-Offset": "0", "Upload-Checksum": "sha1 AAAA"}
    )
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["title"]) == (
        460,
        "checksum_mismatch",
        "Checksum Mismatch",
    )
    conflict = await http.patch(url, content=b"abc", headers=PATCH | {"Upload-Offset": "3"})
    assert (conflict.status_code, conflict.headers["Tus-Resumable"]) == (409, "1.0.0")
    assert (await http.delete(url, headers=TUS)).status_code == 204
    assert (await http.head(url, headers=TUS)).status_code == 404
    absent = await http.patch(f"{URL}/a%2F..%2Fb", content=b"x", headers=PATCH | {"Upload-Offset": "0"})
    assert (absent.status_code, absent.json()["code"]) == (422, "invalid_parameter")
    old = await http.post(URL, headers={"Tus-Resumable": "0.1", "Upload-Length": "1"})
    assert (old.status_code, old.headers["Tus-Version"]) == (412, "1.0.0")


async def test_a_body_of_unknown_length_is_taken(http: httpx.AsyncClient, song: bytes) -> None:
    created = await http.post(URL, headers=TUS | {"Upload-Length": str(len(song))})

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, len(song), 50_000):
            yield song[at : at + 50_000]
            await asyncio.sleep(0)

    done = await http.patch(
        created.headers["Location"], content=body(), headers=PATCH | {"Upload-Offset": "0"}
    )
    assert (done.status_code, done.headers["K1-Upload-Status"]) == (204, "queued")
