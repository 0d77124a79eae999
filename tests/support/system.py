"""The whole system, started with `k1 up`, for tests that use it or kill parts of it."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import httpx
import psutil
import pytest
from nats.errors import Error as NatsError

from k1_cli.stack.running_stack import RunningStack, require_stack
from k1_contracts.descriptors import Q, Query, R
from k1_contracts.durables import DURABLES
from k1_contracts.rpc import RpcError
from k1_platform.nats.dead_letters.queue import DeadLetter, list_dead_letters
from tests.support.bus import connected_client, request
from tests.support.documents.checked_http import check_gateway
from tests.support.fork_server import run_forked
from tests.support.groups import group_of
from tests.support.processes import inherited_environment, is_alive, unmeasured
from tests.support.waiting import PATIENCE_S, wait_until

T = TypeVar("T")
RETRYABLE: Final = {502, 503, 504}
"""Statuses of the gateway while a service is down or slow: the client may try again."""


def wait_for(condition: Callable[[], T | None], what: str, within_s: float = PATIENCE_S) -> T:
    """Wait until a condition of the system is true and return its value; a failed connection is "not yet"."""
    return wait_until(condition, what, within_s=within_s, retry_on=(httpx.HTTPError, NatsError, OSError))


@dataclass
class System:
    """A running system."""

    home: Path
    sign_in: bool = False
    """Whether requests need a session or a key; without, every test may send plain requests."""
    settings: dict[str, str] = field(default_factory=dict[str, str])
    """Settings that differ from the defaults: environment variables `K1_...`."""

    @property
    def stack(self) -> RunningStack:
        """Return the state that the supervisor wrote last."""
        return require_stack(self.home)

    @property
    def url(self) -> str:
        """Return the address of the gateway; all exchanges of tests with it are checked."""
        url = self.stack.url
        check_gateway(url)
        return url

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `k1` command against this system."""
        with unmeasured():
            environment = inherited_environment()
        environment |= ({} if self.sign_in else {"K1_AUTH": "off"}) | self.settings
        arguments = (*args, "--home", str(self.home))
        done = run_forked("k1_cli", *arguments, environment=environment, timeout_s=PATIENCE_S * 2)
        if check:
            assert done.returncode == 0, f"k1 {' '.join(args)}: {done.stderr}\n{done.stdout}"
        return done

    def link_sent_by(self, action: Callable[[], object], page: str, to: str = "admin@localhost") -> str:
        """Return the link to a page that an action sends to a person by mail; earlier messages do not count."""
        before = len(self._mailed_links(page, to))
        action()

        def newest() -> str | None:
            links = self._mailed_links(page, to)
            return links[0] if len(links) > before else None

        return wait_for(newest, f"the message with the link to {page} arrives")

    def _mailed_links(self, page: str, to: str) -> list[str]:
        """Return the links to a page in the messages to a person, the newest first."""
        messages = json.loads(self.cli("mail", "list", "--json").stdout)["items"]
        links = [each["link"] for each in messages if each["to"] == to and each["link"]]
        return [link for link in links if link.startswith(f"{self.url}{page}?token=")]

    def assert_within_permissions(self) -> None:
        """Assert that the bus has refused no subject to any service or device since the start."""
        log = (self.home / "logs" / "nats.log").read_text()
        assert [line for line in log.splitlines() if "Violation" in line] == []

    # ------------------------------------------------------------------ processes

    def pid(self, name: str) -> int:
        """Return the process id of a server or service, once it runs."""
        return wait_for(lambda: self._pid(name), f"{name} runs")

    def _pid(self, name: str) -> int | None:
        """Return the process id, or None if it did not run when the supervisor wrote its state."""
        return {part.name: part.pid for part in (*self.stack.servers, *self.stack.services)}[name]

    def kill(self, name: str) -> int:
        """Kill a server or service with SIGKILL, and return its process id."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_restart(self, name: str, old_pid: int) -> None:
        """Wait until the supervisor has restarted a process and every service is ready."""

        def restarted() -> bool:
            pid = self._pid(name)
            return pid is not None and pid != old_pid and psutil.pid_exists(pid)

        wait_for(restarted, f"{name} starts again")
        wait_for(self.is_ready, "every service is ready again")

    def is_ready(self) -> bool:
        """Return whether every service is ready."""
        return all(
            httpx.get(f"http://127.0.0.1:{part.port}/readyz", timeout=5).status_code == 200
            for part in self.stack.services
        )

    # ------------------------------------------------------------------ HTTP

    def upload(
        self, data: bytes, name: str = "song.wav", headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """Send one upload, as the web page does."""
        return httpx.post(
            f"{self.url}/api/v1/tracks/upload",
            files={"file": (name, data)},
            data=fields,
            headers=headers,
            timeout=60,
        )

    def upload_with_retry(
        self, data: bytes, name: str = "song.wav", headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """Send an upload until it is accepted or refused."""

        def final() -> httpx.Response | None:
            response = self.upload(data, name, headers, **fields)
            return None if response.status_code in RETRYABLE else response

        return wait_for(final, f"{name} is accepted or refused")

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request to the API until it is accepted or refused; only for what may be repeated."""

        def final() -> httpx.Response | None:
            response = httpx.request(method, f"{self.url}/api/v1{path}", timeout=120, **arguments)
            return None if response.status_code in RETRYABLE else response

        return wait_for(final, f"{method} {path} is accepted or refused")

    def get(self, path: str) -> Any:
        """Return the parsed body of a GET; assert that it succeeds."""
        response = self.request("GET", path)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def status(self) -> dict[str, Any]:
        """Return the output of `k1 status --json` once everything is ready; a slow probe may fail at first."""

        def ready() -> dict[str, Any] | None:
            done = self.cli("status", "--json", check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None

        return wait_for(ready, "everything is ready")

    # ------------------------------------------------------------------ jobs and tracks

    def job(self, job_id: str) -> dict[str, Any] | None:
        """Return a job, or None while the catalogue does not know it."""
        response = httpx.get(f"{self.url}/api/v1/analysis/jobs/{job_id}", timeout=60)
        return response.json() if response.status_code == 200 else None

    def wait_for_job(self, job_id: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return a job once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job and job["status"] in {"completed", "failed", "cancelled"} else None

        return wait_for(ended, f"job {job_id} ends", within_s)

    def track(self, track_id: str) -> dict[str, Any]:
        return self.get(f"/tracks/{track_id}")

    # ------------------------------------------------------------------ streams and tables

    def dead_letters(self) -> list[DeadLetter]:
        """Return all dead letters."""

        async def read() -> list[DeadLetter]:
            async with connected_client(self.stack.bus) as client:
                return await list_dead_letters(client.jetstream(timeout=PATIENCE_S))

        return asyncio.run(read())

    def ask(self, query: Query[Q, R], body: Q) -> R:
        """Return the result of a query on the bus; assert that it is not refused."""

        async def run() -> R | RpcError:
            async with connected_client(self.stack.bus) as client:
                return await request(client, query, body)

        answer = asyncio.run(run())
        assert not isinstance(answer, RpcError), answer
        return answer

    def unacknowledged(self) -> dict[str, int]:
        """Return the number of messages that each durable has not acknowledged; those with none are left out."""

        async def read() -> dict[str, int]:
            async with connected_client(self.stack.bus) as client:
                jetstream = client.jetstream(timeout=PATIENCE_S)
                infos = [await jetstream.consumer_info(d.stream, d.name) for d in DURABLES]
                return {
                    info.name: count
                    for info in infos
                    if (count := (info.num_pending or 0) + (info.num_ack_pending or 0))
                }

        return asyncio.run(read())

    def is_quiescent(self) -> bool:
        """Return whether all events are published and every durable has acknowledged its messages."""
        return not self._unpublished() and not self.unacknowledged()

    def _unpublished(self) -> list[dict[str, Any]]:
        """Return the events that wait in the outbox of any service."""
        found = self.sql("SELECT table_schema FROM information_schema.tables WHERE table_name = 'outbox'")
        schemas = [each["table_schema"] for each in found]
        assert schemas, "no service has an outbox"
        return self.sql(" UNION ALL ".join(f"SELECT id, subject FROM {each}.outbox" for each in schemas))

    def sql(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Return the rows of a query of the system's database."""

        async def read() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.stack.environment["K1_POSTGRES_DSN"])
            try:
                return [dict(row) for row in await connection.fetch(query, *args)]
            finally:
                await connection.close()

        return asyncio.run(read())

    def assert_ready_once(self, accepted: list[dict[str, Any]]) -> None:
        """Assert that every accepted upload is a track with one finished version, and that no message is left."""
        for upload in accepted:
            job = self.wait_for_job(upload["job_id"])
            assert job["status"] == "completed", job
            detail = self.track(upload["track_id"])
            assert detail["track"]["status"] in {"ready", "warning"}, detail["track"]
            assert [version["version"] for version in detail["versions"]] == [1]
            assert self.get(f"/tracks/{upload['track_id']}/versions/1/genesis?layers=rhythm")["layers"]
        wait_for(self.is_quiescent, "every message is published and acknowledged")
        assert self.sql("SELECT id FROM catalogue.tracks WHERE status = 'processing'") == []
        assert self.dead_letters() == []


shared_system: Final = ExitStack()
"""Ends the shared system when it is closed: at the latest when all tests have ended."""


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return the system that many tests share; tests may leave anything in it."""
    with shared_system:
        yield shared_system.enter_context(_running(tmp_path_factory.mktemp("system")))


@contextmanager
def _running(home: Path) -> Generator[System]:
    """Start a system with `k1 up --detach`; after `k1 down` no process of it is alive."""
    system = System(home)
    system.cli("up", "--detach", "--sim-devices", "0")
    started = {psutil.Process(system.stack.pid), *psutil.Process(system.stack.pid).children(recursive=True)}
    yield system
    system.cli("down")
    system.assert_within_permissions()
    wait_for(lambda: not any(map(is_alive, started)), "no process is left behind")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared system with the last test of its group: idle, it would take processor time from the others."""
    if nextitem is not None and group_of(item.nodeid) != group_of(nextitem.nodeid):
        shared_system.close()
