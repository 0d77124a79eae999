"""A service that gets SIGTERM is taken out of rotation first, and then finishes what it has begun."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.support import songs
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, wait_until


def test_a_stopping_service_drains(provisioned: Infrastructure, tmp_path: Path) -> None:
    """On SIGTERM `/readyz` answers 503 and connections end, but requests are answered; a second one ends the wait.

    The upload that was in progress is accepted, though its last bytes come after the end of the drain.
    """
    song = songs.song(3100, seconds=4)
    started, finish = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"--k1\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n" + song[:100_000]
        started.set()
        finish.wait(PATIENCE_S)
        yield song[100_000:] + b"\r\n--k1--\r\n"

    environment = provisioned.environment | {"K1_INGEST_DRAIN_S": str(PATIENCE_S)}
    with (
        running_service("ingest", environment, tmp_path) as running,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(base_url=running.url, timeout=PATIENCE_S) as client,
    ):
        headers = {"Content-Type": "multipart/form-data; boundary=k1"}
        upload = pool.submit(
            httpx.post, f"{running.url}/upload", content=body(), headers=headers, timeout=PATIENCE_S
        )
        assert started.wait(PATIENCE_S)
        running.process.send_signal(signal.SIGTERM)
        draining = wait_until(
            lambda: found if (found := client.get("/readyz")).status_code == 503 else None, "it drains"
        )
        assert (draining.json()["status"], draining.headers["Connection"]) == ("draining", "close")
        assert client.options("/uploads").status_code == 204
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(running.url), "it listens no more")
        finish.set()
        assert upload.result().status_code == 202
        running.process.wait(PATIENCE_S)
    assert running.process.returncode == 0


def _refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/livez")
    except httpx.ConnectError:
        return True
    except httpx.HTTPError:
        return False
    return False
