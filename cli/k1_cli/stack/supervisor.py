"""Starts servers, preparations and services in order, restarts what ends, and stops everything in reverse."""

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
from typing import Final

from k1_cli.output.hints import k1_command
from k1_cli.stack.embedded.disk import DiskMonitor
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.network import Network, require_free_port
from k1_cli.stack.embedded.processes import Child, Command, spawn
from k1_cli.stack.embedded.servers.server import Server
from k1_cli.stack.services import (
    ACCOUNTS_SERVICE,
    DEVICE_KEY_SERVICE,
    PREPARATIONS,
    SIGNING_SERVICES,
    WEBHOOKS_SERVICE,
    Service,
    make_services,
    make_sign_in_token,
    run_preparation,
)
from k1_cli.stack.simulated_devices import SimulatedDevices
from k1_cli.stack.zygote import Zygote
from k1_platform.auth.secret_files import write_atomically
from k1_platform.processes.backoff import BackoffSchedule

_SERVICE_PATIENCE = 60.0
_READY_PAUSE = 0.05
_WATCH_PAUSE = 0.25
_STABLE_SECONDS = 60.0
RESTART_BACKOFF: Final = BackoffSchedule(first_s=0.5, max_s=30.0)

Printer = Callable[[str], None]
"""Prints a line for the person at the terminal."""
SupervisedProcess = Server | Service | SimulatedDevices


@dataclass
class Backoff:
    """Plans the restarts of one process: after 0.5 s at first, then with twice the delay each time."""

    failures: int = 0
    next_start: float | None = None
    last_start: float = field(default_factory=time.monotonic)

    def plan_restart(self, now: float) -> float:
        """Plan the next start and return the seconds until then."""
        if now - self.last_start > _STABLE_SECONDS:
            self.failures = 0
        self.failures += 1
        delay = RESTART_BACKOFF.pause_s(self.failures)
        self.next_start = now + delay
        return delay

    def record_start(self, now: float) -> None:
        """Record that the planned start has happened."""
        self.next_start, self.last_start = None, now


class Supervisor:
    """Runs the whole system on one machine as children of this process."""

    def __init__(
        self, home: Path, *, port: int | None, simulated: int, say: Printer, network: Network | None = None
    ) -> None:
        """Prepare without starting anything.

        `port` is that of the gateway, None for a free one; `simulated` is the number of simulated K1s; `say` prints
        a line for the person at the terminal; the gateway, NATS, MQTT and the object store listen on `network`.
        """
        self._say = say
        self._network = network or Network()
        self._stack = EmbeddedStack(home, self._network, with_mailbox=True)
        self._home = self._stack.home
        self._port = port
        self._services: list[Service] = []
        self._simulated = [SimulatedDevices(self._home, simulated)] if simulated else []
        self._environment: dict[str, str] = {}
        self._sign_in_token = ""
        self._backoff: dict[str, Backoff] = {}
        self._zygote: Zygote | None = None
        self._state_is_stale = False
        self._disk_monitor = DiskMonitor(
            self._home.root, on_full=self._report_full_disk, on_room=self._restart_nats
        )

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self._services[-1].url

    @property
    def sign_in_link(self) -> str:
        """A link to the page that signs an administrator in; it works once, for 15 minutes."""
        return f"{self.url}/sign-in?token={self._sign_in_token}"

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            HomeInUseError: another stack runs on this home.
            StackError: something did not start.
        """
        if self._port is not None:
            require_free_port(self._port, self._network.address)
        begun = time.monotonic()
        self._home.create()
        self._zygote = Zygote(self._home.logs / "zygote.log")
        self._stack.start()
        self._say(f"servers ready after {time.monotonic() - begun:.1f} s")
        self._services = make_services(self._home, self._port, self._network)
        by_name = {service.name: service for service in self._services}
        self._environment = {
            **self._stack.urls.environment(),
            "K1_GATEWAY_INGEST_URL": by_name["ingest"].url,
            "K1_GATEWAY_SERVICE_URLS": json.dumps({s.name: s.url for s in self._services[:-1]}),
            "K1_GATEWAY_ALLOWED_HOSTS": ",".join(self._network.all_names),
            "K1_CATALOGUE_STORAGE_DISK": str(self._home.root),
            "OMP_NUM_THREADS": "1",  # the services use several processes instead of threads
        }
        self._prepare()
        self._say(f"bus, buckets, schema and keys ready after {time.monotonic() - begun:.1f} s")
        with ThreadPoolExecutor(1) as pool:  # beside the services, which do not wait for it
            token = pool.submit(make_sign_in_token, self._home, self._environment, self._spawn)
            for service in self._services:
                service.start(self._environment_of(service.name), self._spawn)
            self._await_ready()
            self._sign_in_token = token.result()
        self._zygote.close()
        self._write_state()
        self._say(f"services ready after {time.monotonic() - begun:.1f} s")

    def _prepare(self) -> None:
        with ThreadPoolExecutor(len(PREPARATIONS)) as pool:
            running = [
                pool.submit(run_preparation, self._home, name, self._environment_of(name), self._spawn)
                for name in PREPARATIONS
            ]
            for done in running:
                done.result()

    def _environment_of(self, name: str) -> dict[str, str]:
        keys: dict[str, str] = {}
        if name in SIGNING_SERVICES:
            keys["K1_SIGNING_KEYS"] = str(self._home.keys)
        if name == DEVICE_KEY_SERVICE:
            keys |= self._device_environment()
        if name == WEBHOOKS_SERVICE:
            keys["K1_WEBHOOKS_KEY_FILE"] = str(self._home.webhooks_key_file)
        if name == ACCOUNTS_SERVICE:
            keys |= self._accounts_environment()
        return self._environment | keys

    def _device_environment(self) -> dict[str, str]:
        servers, ca = self._stack.device_servers, self._network.ca
        variables = {
            "NATS_KEYS": str(self._stack.urls.nats_deploy_keys),
            "DEVICE_NATS_URL": servers.nats_url,
            "DEVICE_MQTT_URL": servers.mqtt_url,
            "DEVICE_CA": None if ca is None else str(ca),
        }
        return {f"K1_DEPLOY_{name}": value for name, value in variables.items() if value is not None}

    def _accounts_environment(self) -> dict[str, str]:
        variables = {
            "K1_ACCOUNTS_KEYS": str(self._home.account_keys),
            "K1_ACCOUNTS_PUBLIC_URL": os.environ.get("K1_ACCOUNTS_PUBLIC_URL", self.url),
        }
        if "K1_ACCOUNTS_SMTP_HOST" in os.environ:
            return variables
        mailbox = self._stack.server("mailbox")
        return variables | {
            "K1_ACCOUNTS_SMTP_HOST": "127.0.0.1",
            "K1_ACCOUNTS_SMTP_PORT": str(mailbox.port),
            "K1_ACCOUNTS_SMTP_SECURITY": "none",
        }

    def _spawn(self, command: Command, log: Path) -> Child:
        if self._zygote is not None:
            try:
                return self._zygote.spawn(command, log)
            except StackError as error:
                self._say(
                    f"{error}; see {self._home.logs / 'zygote.log'}. Starting without it, which is slower"
                )
        return spawn(command, log)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _SERVICE_PATIENCE
        unready = list(self._services)
        while unready:
            readiness = {service.name: service.readiness for service in unready}
            for service in unready:
                if not service.process.alive:
                    raise StackError(self._exit_report(service))
            unready = [service for service in unready if not readiness[service.name].ready]
            if unready and time.monotonic() > deadline:
                reasons = [
                    f"{name}: {'; '.join(a.problems) or 'no answer'}"
                    for name, a in readiness.items()
                    if not a.ready
                ]
                raise StackError(f"not ready after {_SERVICE_PATIENCE:.0f} s: {', '.join(reasons)}")
            time.sleep(_READY_PAUSE)

    def watch(self) -> None:
        """Start the simulated devices, then restart what ends, until this thread is interrupted."""
        for devices in self._simulated:
            self._restart(devices)
        self._try_write_state()
        while True:
            for part in self._processes:
                self._restart_when_due(part)
            if self._state_is_stale:
                self._try_write_state()
            self._reap_orphans()
            self._disk_monitor.check()
            time.sleep(_WATCH_PAUSE)

    @property
    def _processes(self) -> tuple[SupervisedProcess, ...]:
        return (*self._stack.servers, *self._services, *self._simulated)

    def _restart_when_due(self, part: SupervisedProcess) -> None:
        if part.process.alive:
            return
        now = time.monotonic()
        backoff = self._backoff.setdefault(part.name, Backoff())
        if backoff.next_start is None:
            self._say(
                f"{self._exit_report(part)}\n{part.name} starts again in {backoff.plan_restart(now):.1f} s"
            )
        elif now >= backoff.next_start:
            self._restart(part)
            backoff.record_start(now)
            self._try_write_state()

    def _reap_orphans(self) -> None:
        """Reap the children of killed processes, which are now children of this one; else they stay as zombies."""
        ours = {part.process.pid for part in self._processes}
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid in ours:
                    return  # the loop handles it and needs its exit code
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _restart(self, part: SupervisedProcess) -> None:
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
        """Restart NATS: after a failed write it stores nothing more in that stream, however much space there is now."""
        self._say(
            f"the disk of {self._home.root} has room again: nats starts again, which stored nothing without room"
        )
        self._stack.server("nats").stop()
        self._restart(self._stack.server("nats"))
        self._try_write_state()

    def _exit_report(self, part: SupervisedProcess) -> str:
        return (
            f"{part.name} ended with code {part.process.exit_code}; "
            f"its log {part.process.log} ends with:\n{part.process.log_tail()}"
        )

    def stop(self) -> None:
        """Stop the services, the gateway first, then the servers; harmless when nothing runs."""
        if self._home.holds_lock:
            self._home.state_file.unlink(missing_ok=True)
        if self._zygote is not None:
            self._zygote.close()
        outward = (*self._simulated, *reversed(self._services))
        for part in outward:
            part.process.request_stop()
        for part in outward:
            part.process.stop()
        self._stack.stop()

    def _try_write_state(self) -> None:
        """Write the state file, and try again later where that fails: a full disk must not stop the stack."""
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
            "sign_in_link": self.sign_in_link,
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
        write_atomically(self._home.state_file, json.dumps(state, indent=2))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
