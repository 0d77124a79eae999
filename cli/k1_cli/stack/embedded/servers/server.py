"""The base class of the embedded servers: ports, start, readiness probe and stop."""

import time
from abc import ABC, abstractmethod
from typing import ClassVar

from k1_cli.stack.embedded import network, ports
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network
from k1_cli.stack.embedded.processes import Command, ManagedProcess

_PORT_ATTEMPTS = 5
_PROBE_PAUSE = 0.01


class Server(ABC):
    """One server of the stack. Its ports are chosen at the first start and kept for the life of the object."""

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    """The names of its ports in `<home>/run/ports.json`, the main port first; empty for a server with a socket file."""
    start_patience: ClassVar[float] = 30.0

    def __init__(self, home: Home, network: Network | None = None) -> None:
        """`network`: where the server listens, by default on loopback."""
        self.home = home
        self.network = network or Network()
        self.process = ManagedProcess(home, self.name)
        self._ports: dict[str, int] = {}

    @property
    def port(self) -> int | None:
        """The main port; None for a server that listens on a socket file.

        Raises:
            StackError: the server was never started, so it has none yet.
        """
        return self.port_named(self.port_names[0]) if self.port_names else None

    def port_named(self, name: str) -> int:
        """Return the port of this name, one of `port_names`.

        Raises:
            StackError: the server was never started, so it has no ports yet.
        """
        if name not in self._ports:
            raise StackError(f"{self.name} has no port before its first start")
        return self._ports[name]

    def attach(self) -> None:
        """Use the ports of a stack that another process runs on this home, to probe its servers."""
        remembered = self.home.remembered_ports()
        self._ports = {name: remembered[name] for name in self.port_names}

    @abstractmethod
    def prepare(self) -> None:
        """Create or repair what the server needs on disk; called before every start."""

    @abstractmethod
    def command(self) -> Command:
        """Return the command that runs the server on its ports."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server answers its protocol now; an OSError means that it does not."""

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            StackError: it ended or did not answer in time; the message contains the end of its log.
        """
        if self.process.alive:
            return
        first_start = not self._ports
        for _ in range(_PORT_ATTEMPTS):
            if first_start:
                remembered = self.home.remembered_ports()
                self._ports = {name: self._choose_port(remembered.get(name)) for name in self.port_names}
            self.prepare()
            self.process.start(self.command())
            if self._wait_until_ready():
                return
            lost_the_port = first_start and not all(
                ports.is_free(port, self.network.address) for port in self._ports.values()
            )
            if not lost_the_port:
                break
        raise StackError(
            f"{self.name} ended with code {self.process.exit_code} while starting; "
            f"its log {self.process.log} ends with:\n{self.process.log_tail()}"
        )

    def _choose_port(self, remembered: int | None) -> int:
        """Return the port of the last run where it is free; on a network it must be, because devices use it."""
        if remembered is not None and not self.network.is_private:
            instead = (
                f"devices know it as that of {self.name}, so end that program; or remove "
                f"{self.home.ports_file} for new ports, and install the new server.json into the devices"
            )
            network.require_free_port(remembered, self.network.address, instead)
        return ports.free_port(remembered, self.network.address)

    def _wait_until_ready(self) -> bool:
        """Return True when the server answers, False when its process has ended.

        Raises:
            StackError: it did not answer in time.
        """
        deadline = time.monotonic() + self.start_patience
        while time.monotonic() < deadline:
            if not self.process.alive:
                return False
            try:
                if self.answers():
                    return self.process.alive
            except OSError:
                pass  # not listening yet
            time.sleep(_PROBE_PAUSE)
        tail = self.process.log_tail()
        self.process.kill()
        raise StackError(
            f"{self.name} did not answer within {self.start_patience:.0f} s; its log ends with:\n{tail}"
        )

    def ready(self) -> bool:
        """Return whether the server answers, also when another process started it."""
        try:
            return self.answers()
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the server cleanly; harmless when it does not run."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the server with SIGKILL, as in a crash."""
        self.process.kill()
