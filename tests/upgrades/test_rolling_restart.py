"""Restarts every service one after the other while people work: nothing is lost, and no client sees a failure.

Each service runs twice. Gateways and ingests are behind a load balancer; the others share their queues on the bus. It
takes minutes, so it belongs to `./k1 test --long`.
"""

import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from k1_platform.auth.nkeys import NatsKeys
from tests.support import songs
from tests.support.servers.balancer import Balancer, running_balancer
from tests.support.service_process import RunningService, running_service
from tests.support.system import System, wait_for

pytestmark = pytest.mark.long
DRAIN_S = 1.0
BUS_SERVICES = ("accounts", "webhooks", "telemetry", "deploy", "catalogue", "analysis")
"""Their first instance is that of the system, the second one that of the test."""
BALANCED = ("ingest", "gateway")
EXPECTED: Final = {200, 202, 401, 429}
"""The statuses of what the load does; it signs in with a wrong password, which is refused and then throttled."""

_SONGS = itertools.count(5000, 1000)
"""The first song of each run: the runs share a system."""


@dataclass
class Instances:
    """Services of the test beside those of the system."""

    system: System
    folder: Path
    balancers: dict[str, Balancer]
    running: dict[str, list[tuple[AbstractContextManager[RunningService], RunningService]]] = field(
        default_factory=dict
    )

    def start(self, name: str) -> None:
        """Start an instance and wait until it is ready, and until the balancer sends requests to it."""
        keys = NatsKeys(self.system.stack.home.nats_keys)
        own = {
            "K1_AUTH": "off",
            "K1_NATS_CREDS": str(keys.service_credentials(name)),
            "K1_SIGNING_KEYS": str(self.system.stack.home.keys),
            "K1_DEPLOY_NATS_KEYS": str(keys.deploy),
            "K1_ACCOUNTS_KEYS": str(self.system.stack.home.account_keys),
            "K1_ACCOUNTS_PUBLIC_URL": self.system.stack.url,
            "K1_ACCOUNTS_SMTP_HOST": "127.0.0.1",
            "K1_WEBHOOKS_KEY_FILE": str(self.system.stack.home.webhooks_key_file),
            "K1_GATEWAY_INGEST_URL": self.balancers["ingest"].url,
            f"K1_{name.upper()}_DRAIN_S": str(DRAIN_S if name in BALANCED else 0),
            "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "100000",
        }
        context = running_service(name, self.system.stack.environment | own, self.folder)
        service = context.__enter__()
        self.running.setdefault(name, []).append((context, service))
        if name in self.balancers:
            balancer = self.balancers[name]
            balancer.backends.add(service.url)
            wait_for(lambda: balancer.is_ready(service.url), f"{name} gets requests")

    def stop(self, name: str) -> None:
        """Stop the oldest instance of a service with SIGTERM, and wait for its end."""
        context, service = self.running[name].pop(0)
        context.__exit__(None, None, None)
        assert service.process.returncode == 0, f"{name} ended with {service.process.returncode}"
        if name in self.balancers:
            self.balancers[name].backends.discard(service.url)

    def stop_all(self) -> None:
        """Stop whatever runs."""
        for name, started in self.running.items():
            for _ in list(started):
                self.stop(name)


@dataclass
class Load:
    """Clients that never try again."""

    url: str
    first_song: int = field(default_factory=lambda: next(_SONGS))
    stopped: threading.Event = field(default_factory=threading.Event)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter[int])
    failures: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, **arguments: Any) -> httpx.Response | None:
        """Send a request on a connection of its own; note a failure."""
        try:
            response = httpx.request(method, f"{self.url}/api/v1{path}", timeout=60, **arguments)
        except httpx.HTTPError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        self.statuses[response.status_code] += 1
        if response.status_code not in EXPECTED:
            self.failures.append(f"{method} {path}: {response.status_code} {response.text}")
        return response

    def upload(self) -> None:
        """Upload songs until stopped."""
        for number in itertools.count(self.first_song):
            files = {"file": (f"{number}.wav", songs.song(number, seconds=3))}
            response = self.send("POST", "/tracks/upload", files=files)
            if response is not None and response.status_code == 202:
                self.accepted.append(response.json())
            if self.stopped.wait(2):
                return

    def read_and_edit(self) -> None:
        """Read lists, tracks, devices and users, and edit tracks, until stopped."""
        for number in itertools.count():
            for path in (
                "/tracks?limit=5",
                "/devices",
                "/deployments",
                "/webhooks",
                "/analysis/jobs?limit=5",
            ):
                self.send("GET", path)
            self.send(
                "POST", "/auth/login", json={"email": "nobody@example.org", "password": "not the password"}
            )
            if self.accepted:
                track = self.accepted[number % len(self.accepted)]["track_id"]
                if self.send("GET", f"/tracks/{track}") is not None:
                    edited = self.send("PATCH", f"/tracks/{track}", json={"title": f"title {number}"})
                    if edited is not None and edited.status_code == 200:
                        self.titles[track] = f"title {number}"
            if self.stopped.wait(0.1):
                return


@contextmanager
def working(url: str) -> Iterator[Load]:
    """Run the load while the block runs."""
    load = Load(url)
    with ThreadPoolExecutor(2) as pool:
        works: list[Future[None]] = [pool.submit(load.upload), pool.submit(load.read_and_edit)]
        try:
            yield load
        finally:
            load.stopped.set()
        for work in works:
            work.result()


@pytest.mark.parametrize("names", [BUS_SERVICES, BALANCED], ids=["bus", "balanced"])
def test_every_service_is_restarted_under_load(
    system: System, tmp_path: Path, names: tuple[str, ...]
) -> None:
    """No request fails, every accepted upload is ready once, and every edit is kept."""
    with ExitStack() as stack:
        balancers = {name: stack.enter_context(running_balancer()) for name in BALANCED}
        instances = Instances(system, tmp_path, balancers)
        stack.callback(instances.stop_all)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(instances.start, dict.fromkeys((*names, *BALANCED))))
        with working(balancers["gateway"].url) as load:
            wait_for(lambda: len(load.accepted) >= 3 and load.titles, "people work")
            for name in names:
                if name in BALANCED:
                    instances.start(name)
                    instances.stop(name)
                else:
                    instances.stop(name)
                    instances.start(name)
                    restart(system, name)
            before = len(load.accepted)
            wait_for(lambda: len(load.accepted) > before, "people still work")
        assert load.failures == []
        system.assert_ready_once(load.accepted)
        assert {track: system.track(track)["track"]["title"] for track in load.titles} == load.titles


def restart(system: System, name: str) -> None:
    """Stop the system's instance of a service with SIGTERM; the supervisor starts it again."""
    old = system.pid(name)
    os.kill(old, signal.SIGTERM)
    system.wait_for_restart(name, old)
