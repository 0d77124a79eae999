"""What the four servers have in common: ports, a command, a readiness probe, and the order start-wait-stop."""

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
    """One server of the stack. Its ports are chosen at the first start and kept until the object goes."""

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    """Names of its ports in `<home>/run/ports.json`; the first is the one that `port` gives. None: it has a socket file."""
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
        """One of the ports in `port_names`."""
        if name not in self._ports:
            raise StackError(f"{self.name} has no port before its first start")
        return self._ports[name]

    def attach(self) -> None:
        """Take the ports of a stack that another process runs on this home, to ask its servers."""
        remembered = self.home.remembered_ports()
        self._ports = {name: remembered[name] for name in self.port_names}

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs on disk; called before every start, so it repairs as well."""

    @abstractmethod
    def command(self) -> Command:
        """How to run it, on the ports chosen."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers its protocol now. Errors of the connection mean no."""

    def start(self) -> None:
        """Start and wait until the server answers.

        Raises:
            StackError: it ended or did not answer in time; the message carries the end of its log.
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
            if self._wait():
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
        """The port of the last run where it is free. Devices on a network know no other."""
        if remembered is not None and not self.network.is_private:
            instead = (
                f"devices know it as that of {self.name}, so end that program; or remove "
                f"{self.home.ports_file} for new ports, and install the new server.json into the devices"
            )
            network.check_port(remembered, self.network.address, instead)
        return ports.free_port(remembered, self.network.address)

    def _wait(self) -> bool:
        """True when the server answers, False when its process has ended."""
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
        """Whether it answers, whoever started it."""
        try:
            return self.answers()
        except OSError:
            return False

    def stop(self) -> None:
        """Stop cleanly; harmless when it does not run."""
        self.process.stop()

    def kill(self) -> None:
        """`kill -9`, as a crash would."""
        self.process.kill()
