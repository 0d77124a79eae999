"""Starts servers, preparations and services in order, keeps them running, stops them in reverse."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from k1_cli.output.hints import k1_command
from k1_cli.stack.embedded.disk import DiskWatch
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.network import Network, check_port
from k1_cli.stack.embedded.processes import Child, Command, spawn
from k1_cli.stack.embedded.servers.server import Server
from k1_cli.stack.services import DEVICE_KEEPER, PREPARATIONS, SIGNERS, Service, make_services, prepare
from k1_cli.stack.simulated_devices import SimulatedDevices
from k1_cli.stack.zygote import Nursery
from k1_platform.secret_files import write_whole

_SERVICE_PATIENCE = 60.0
_READY_PAUSE = 0.05
_WATCH_PAUSE = 0.25
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STABLE_SECONDS = 60.0

Say = Callable[[str], None]
Part = Server | Service | SimulatedDevices


@dataclass
class Backoff:
    """When to start again what keeps dying: at once-ish at first, then twice as late each time."""

    delay: float = _FIRST_DELAY
    next_start: float | None = None
    last_start: float = field(default_factory=time.monotonic)

    def died(self, now: float) -> float:
        """Plan the next start; returns the seconds until then."""
        if now - self.last_start > _STABLE_SECONDS:
            self.delay = _FIRST_DELAY
        self.next_start = now + self.delay
        planned, self.delay = self.delay, min(self.delay * 2, _LONGEST_DELAY)
        return planned

    def started(self, now: float) -> None:
        """The planned start has happened."""
        self.next_start, self.last_start = None, now


class Supervisor:
    """The whole system on one machine, owned by this process."""

    def __init__(
        self, home: Path, *, port: int | None, simulated: int, say: Say, network: Network | None = None
    ) -> None:
        """`port`: the gateway's, or None for a free one; `simulated`: so many K1s are run beside the services.

        `say` gets a line for the person who watches. `network`: where the gateway, NATS, MQTT and the object store listen.
        """
        self._say = say
        self._network = network or Network()
        self._stack = EmbeddedStack(home, self._network)
        self._home = self._stack.home
        self._port = port
        self._services: list[Service] = []
        self._simulated = [SimulatedDevices(self._home, simulated)] if simulated else []
        self._environment: dict[str, str] = {}
        self._backoff: dict[str, Backoff] = {}
        self._nursery: Nursery | None = None
        self._state_is_stale = False
        self._disk = DiskWatch(self._home.root, on_full=self._report_full_disk, on_room=self._restart_nats)

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self._services[-1].url

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            HomeInUseError: a stack runs on this home already.
            StackError: something did not start.
        """
        if self._port is not None:
            check_port(self._port, self._network.address)
        begun = time.monotonic()
        self._home.create()
        self._nursery = Nursery(self._home.logs / "nursery.log")
        self._stack.start()
        self._say(f"servers ready after {time.monotonic() - begun:.1f} s")
        self._services = make_services(self._home, self._port, self._network)
        by_name = {service.name: service for service in self._services}
        self._environment = {
            **self._stack.urls.environment(),
            "K1_GATEWAY_INGEST_URL": by_name["ingest"].url,
            "K1_GATEWAY_SERVICE_URLS": json.dumps({s.name: s.url for s in self._services[:-1]}),
            "K1_GATEWAY_ALLOWED_HOSTS": ",".join(self._network.every_name),
            "OMP_NUM_THREADS": "1",  # the services scale by processes
        }
        self._prepare()
        self._say(f"bus, buckets, schema and keys ready after {time.monotonic() - begun:.1f} s")
        for service in self._services:
            service.start(self._environment_of(service.name), self._spawn_fast)
        self._await_ready()
        self._nursery.close()
        self._write_state()
        self._say(f"services ready after {time.monotonic() - begun:.1f} s")

    def _prepare(self) -> None:
        with ThreadPoolExecutor(len(PREPARATIONS)) as pool:
            running = [
                pool.submit(prepare, self._home, name, self._environment_of(name), self._spawn_fast)
                for name in PREPARATIONS
            ]
            for done in running:
                done.result()

    def _environment_of(self, name: str) -> dict[str, str]:
        keys: dict[str, str] = {}
        if name in SIGNERS:
            keys["K1_SIGNING_KEYS"] = str(self._home.keys)
        if name == DEVICE_KEEPER:
            keys |= self._environment_of_devices()
        return self._environment | keys

    def _environment_of_devices(self) -> dict[str, str]:
        servers, ca = self._stack.device_servers, self._network.ca
        told = {
            "NATS_KEYS": str(self._stack.urls.nats_deploy_keys),
            "DEVICE_NATS_URL": servers.nats_url,
            "DEVICE_MQTT_URL": servers.mqtt_url,
            "DEVICE_CA": None if ca is None else str(ca),
        }
        return {f"K1_DEPLOY_{name}": value for name, value in told.items() if value is not None}

    def _spawn_fast(self, command: Command, log: Path) -> Child:
        if self._nursery is not None:
            try:
                return self._nursery.spawn(command, log)
            except StackError as error:
                self._say(f"{error}; see {self._home.logs / 'nursery.log'}. Starting in the plain way")
        return spawn(command, log)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _SERVICE_PATIENCE
        unready = list(self._services)
        while unready:
            answers = {service.name: service.readiness for service in unready}
            for service in unready:
                if not service.process.alive:
                    raise StackError(self._obituary(service))
            unready = [service for service in unready if not answers[service.name].ready]
            if unready and time.monotonic() > deadline:
                reasons = [
                    f"{name}: {'; '.join(a.problems) or 'no answer'}"
                    for name, a in answers.items()
                    if not a.ready
                ]
                raise StackError(f"not ready after {_SERVICE_PATIENCE:.0f} s: {', '.join(reasons)}")
            time.sleep(_READY_PAUSE)

    def watch(self) -> None:
        """Start the simulated devices, then restart what dies, until this thread is interrupted."""
        for devices in self._simulated:
            self._restart(devices)
        self._renew_state()
        while True:
            for part in self._parts:
                self._look_after(part)
            if self._state_is_stale:
                self._renew_state()
            self._bury_orphans()
            self._disk.check()
            time.sleep(_WATCH_PAUSE)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (*self._stack.servers, *self._services, *self._simulated)

    def _look_after(self, part: Part) -> None:
        if part.process.alive:
            return
        now = time.monotonic()
        backoff = self._backoff.setdefault(part.name, Backoff())
        if backoff.next_start is None:
            self._say(f"{self._obituary(part)}\n{part.name} starts again in {backoff.died(now):.1f} s")
        elif now >= backoff.next_start:
            self._restart(part)
            backoff.started(now)
            self._renew_state()

    def _bury_orphans(self) -> None:
        """Children of what was killed have become ours; without this they would stay as zombies."""
        ours = {part.process.pid for part in self._parts}
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid in ours:
                    return  # its own turn comes, and needs its exit code
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _restart(self, part: Part) -> None:
        try:
            if isinstance(part, Service):
                part.start(self._environment_of(part.name))
            else:
                part.start()
        except (StackError, OSError) as error:
            self._say(f"{part.name} did not start again: {error}")

    def _report_full_disk(self) -> None:
        self._say(f"the disk of {self._home.root} is full: nothing new is taken in until there is room")

    def _restart_nats(self) -> None:
        """Start NATS again: it stores nothing more in a stream whose write failed once, whatever room there is now."""
        self._say(
            f"the disk of {self._home.root} has room again: nats starts again, which stored nothing without room"
        )
        self._stack.server("nats").stop()
        self._restart(self._stack.server("nats"))
        self._renew_state()

    def _obituary(self, part: Part) -> str:
        return (
            f"{part.name} ended with code {part.process.exit_code}; "
            f"its log {part.process.log} ends with:\n{part.process.log_tail()}"
        )

    def stop(self) -> None:
        """Stop the services, edge first, then the servers; harmless when nothing runs."""
        if self._home.claimed:
            self._home.state_file.unlink(missing_ok=True)
        if self._nursery is not None:
            self._nursery.close()
        outward = (*self._simulated, *reversed(self._services))
        for part in outward:
            part.process.request_stop()
        for part in outward:
            part.process.stop()
        self._stack.stop()

    def _renew_state(self) -> None:
        """Write the state where that is possible: a full disk must not end what runs. It is tried until it works."""
        was_stale, self._state_is_stale = self._state_is_stale, False
        try:
            self._write_state()
        except OSError as error:
            self._state_is_stale = True
            if not was_stale:
                file = self._home.state_file
                self._say(
                    f"{file} cannot be written: {error.strerror}; {k1_command('status')} is out of date until it can"
                )

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "url": self.url,
            "version": version("k1-cli"),
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "network": {
                "address": self._network.address,
                "names": self._network.names,
                "certificate": _text(self._network.certificate),
                "ca": _text(self._network.ca),
            },
            "environment": self._environment,
            "servers": [{"name": s.name, "pid": s.process.pid, "port": s.port} for s in self._stack.servers],
            "services": [{"name": s.name, "pid": s.process.pid, "port": s.port} for s in self._services],
            "simulated": [{"pid": d.process.pid, "devices": d.count} for d in self._simulated],
        }
        write_whole(self._home.state_file, json.dumps(state, indent=2))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
