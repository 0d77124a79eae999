"""Large songs go in pieces to a real ingest behind a real gateway, and an interrupted upload goes on."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from k1_cli.api.client import GatewayClient, UnreachableError
from k1_cli.api.song_files import SongUpload
from k1_cli.songs import resumable_upload
from k1_cli.songs.resumable_upload import UploadMemory, upload_resumable
from services.ingest.tests import songs
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service


def test_an_interrupted_upload_goes_on(
    provisioned: Infrastructure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unique: str
) -> None:
    """The second run asks for the offset and sends the rest; a changed file begins anew."""
    monkeypatch.setattr(resumable_upload, "_PAUSES_S", (0.0,))
    file = tmp_path / "long.wav"
    file.write_bytes(songs.wav(110.0, int(unique[:7], 16)))
    memory = UploadMemory(tmp_path / "uploads.json")
    song = SongUpload(file, tags=("a", "b"))
    sent: list[tuple[str, int]] = []
    fail_from = 2
    real = httpx.Client.request

    def request(self: httpx.Client, method: str, url: str, **arguments: Any) -> httpx.Response:
        if method == "PATCH":
            sent.append((method, len(arguments["content"])))
            if len([each for each in sent if each[0] == "PATCH"]) >= fail_from:
                raise httpx.ConnectError("the network is gone")
        elif method != "HEAD" or fail_from > 2:
            sent.append((method, 0))
        return real(self, method, url, **arguments)

    monkeypatch.setattr(httpx.Client, "request", request)
    with running_service("ingest", provisioned.environment, tmp_path) as ingest:
        environment = provisioned.environment | {"K1_GATEWAY_INGEST_URL": ingest.url}
        with (
            running_service("gateway", environment, tmp_path) as gateway,
            GatewayClient(gateway.url) as client,
        ):
            counted: list[int] = []
            with pytest.raises(UnreachableError):
                upload_resumable(client, song, memory, counted.append)
            assert sum(counted) == 4 * 1024 * 1024
            fail_from = 99
            sent.clear()
            counted.clear()
            accepted = upload_resumable(client, song, memory, counted.append)
            assert [method for method, _ in sent][:2] == ["HEAD", "PATCH"]
            assert sum(counted) == file.stat().st_size
            assert accepted["status"] == "queued"
            again = upload_resumable(client, song, memory, lambda _: None)
    assert again == accepted | {"status": "existing"}
    assert memory.get(resumable_upload._identity(song)) is None
