"""The whole system, started as a person starts it, for tests that use it or kill parts of it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nats
import psutil
import pytest

from k1_cli.stack.running_stack import RunningStack, require_stack
from k1_contracts.durables import DURABLES
from k1_platform.nats.connection import connect_options
from k1_platform.nats.dead_letters.queue import DeadLetter, list_dead_letters
from tests.support.checked_http import check_gateway

PATIENCE_S = 120.0
AWAY = {502, 503, 504}
"""The gateway's answers while a service is away or held up: try again."""


def until(condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Wait for a condition to hold and return what it gave; a failing connection is not yet."""
    deadline = time.monotonic() + within_s
    seen: object = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
        except (httpx.HTTPError, nats.errors.Error, OSError) as error:
            seen = error
        else:
            if seen:
                return seen
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:.0f} s: {what}; last seen: {seen!r}")


@dataclass
class System:
    """A running system."""

    home: Path

    @property
    def stack(self) -> RunningStack:
        """As the supervisor last wrote it down."""
        return require_stack(self.home)

    @property
    def url(self) -> str:
        """Where the gateway is; what tests exchange with it is checked."""
        url = self.stack.url
        check_gateway(url)
        return url

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `k1` command against this system."""
        done = subprocess.run(
            [sys.executable, "-m", "k1_cli", *args, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
            # Other tests of this process point K1_* at servers of their own.
            env={name: value for name, value in os.environ.items() if not name.startswith("K1_")},
        )
        if check:
            assert done.returncode == 0, f"k1 {' '.join(args)}: {done.stderr}\n{done.stdout}"
        return done

    def pid(self, name: str) -> int:
        """The process id of a server or service."""
        return until(lambda: self._pid(name), f"{name} runs")

    def _pid(self, name: str) -> int | None:
        """None for one that did not run when the supervisor wrote it down."""
        return {part.name: part.pid for part in (*self.stack.servers, *self.stack.services)}[name]

    def kill(self, name: str) -> int:
        """`kill -9`; returns the pid that went."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_new(self, name: str, old: int) -> None:
        """Wait until the supervisor has started it again and it answers."""

        def again() -> bool:
            pid = self._pid(name)
            return pid not in {None, old} and psutil.pid_exists(pid)

        until(again, f"{name} starts again")
        until(self.ready, "everything is ready again")

    def ready(self) -> bool:
        """Whether every service says so."""
        return all(
            httpx.get(f"http://127.0.0.1:{part.port}/readyz", timeout=5).status_code == 200
            for part in self.stack.services
        )

    def upload(
        self, data: bytes, name: str = "song.wav", headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """One upload, as the page does it."""
        return httpx.post(
            f"{self.url}/api/v1/tracks/upload",
            files={"file": (name, data)},
            data=fields,
            headers=headers,
            timeout=60,
        )

    def uploaded(
        self, data: bytes, name: str = "song.wav", headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """An upload until it is taken in or refused."""

        def answered() -> httpx.Response | None:
            answer = self.upload(data, name, headers, **fields)
            return None if answer.status_code in AWAY else answer

        return until(answered, f"{name} is taken in or refused")

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request to the API until it is answered; only for what may be asked twice."""

        def answered() -> httpx.Response | None:
            answer = httpx.request(method, f"{self.url}/api/v1{path}", timeout=120, **arguments)
            return None if answer.status_code in AWAY else answer

        return until(answered, f"{method} {path} is answered")

    def get(self, path: str) -> Any:
        """GET and parse; asserts that it succeeded."""
        response = self.ask("GET", path)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def status(self) -> dict[str, Any]:
        """What `k1 status --json` tells once all is ready; a probe that is held up says no."""

        def ready() -> dict[str, Any] | None:
            done = self.cli("status", "--json", check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None

        return until(ready, "everything is ready")

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job, or None while the catalogue has not heard of it."""
        response = httpx.get(f"{self.url}/api/v1/analysis/jobs/{job_id}", timeout=60)
        return response.json() if response.status_code == 200 else None

    def await_end(self, job_id: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """The job once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job and job["status"] in {"completed", "failed", "cancelled"} else None

        return until(ended, f"job {job_id} ends", within_s)

    def track(self, track_id: str) -> dict[str, Any]:
        return self.get(f"/tracks/{track_id}")

    def dead_letters(self) -> list[DeadLetter]:
        """What lies on the dead-letter stream."""

        async def read() -> list[DeadLetter]:
            client = await nats.connect(**connect_options(self.stack.bus))
            try:
                return await list_dead_letters(client.jetstream(timeout=PATIENCE_S))
            finally:
                await client.close()

        return asyncio.run(read())

    def unsettled(self) -> dict[str, int]:
        """Messages that some durable has not finished, by durable."""

        async def read() -> dict[str, int]:
            client = await nats.connect(**connect_options(self.stack.bus))
            try:
                jetstream = client.jetstream(timeout=PATIENCE_S)
                infos = [await jetstream.consumer_info(d.stream, d.name) for d in DURABLES]
                return {
                    info.name: count
                    for info in infos
                    if (count := (info.num_pending or 0) + (info.num_ack_pending or 0))
                }
            finally:
                await client.close()

        return asyncio.run(read())

    def at_rest(self) -> bool:
        """Whether all that happened has been told, and nothing waits for anybody."""
        told = self.sql("SELECT count(*) AS n FROM catalogue.outbox") == [{"n": 0}]
        return told and not self.unsettled()

    def sql(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Ask the catalogue's database."""

        async def read() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.stack.environment["K1_POSTGRES_DSN"])
            try:
                return [dict(row) for row in await connection.fetch(query, *args)]
            finally:
                await connection.close()

        return asyncio.run(read())

    def assert_nothing_in_limbo(self, accepted: list[dict[str, Any]]) -> None:
        """Every accepted upload is a track with exactly one finished version; every queue is empty."""
        for upload in accepted:
            job = self.await_end(upload["job_id"])
            assert job["status"] == "completed", job
            detail = self.track(upload["track_id"])
            assert detail["track"]["status"] in {"ready", "warning"}, detail["track"]
            assert [version["version"] for version in detail["versions"]] == [1]
            assert self.get(f"/tracks/{upload['track_id']}/versions/1/genesis?layers=rhythm")["layers"]
        until(self.at_rest, "every message is sent and settled")
        assert self.sql("SELECT id FROM catalogue.tracks WHERE status = 'processing'") == []
        assert self.dead_letters() == []


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`k1 up --detach` on a home of its own; `k1 down` at the end leaves no process."""
    home = tmp_path_factory.mktemp("system")
    system = System(home)
    system.cli("up", "--detach", "--sim-devices", "0")
    started = {psutil.Process(system.stack.pid), *psutil.Process(system.stack.pid).children(recursive=True)}
    yield system
    system.cli("down")
    until(lambda: not [process for process in started if _lives(process)], "no process is left behind")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
