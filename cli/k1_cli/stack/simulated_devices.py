"""Runs `k1 sim` as a child process: the simulated K1s that `k1 up` starts beside the services."""

import sys
from typing import Final

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.processes import Command, ManagedProcess

PREFIX: Final = "demo"
"""The prefix of their ids (`demo-0001` ...), which differs from the default prefix of `k1 sim`."""
GROUP: Final = "demo"


class SimulatedDevices:
    """One process with all simulated devices; their contents are stored under the home."""

    name = "simulated-devices"

    def __init__(self, home: Home, count: int) -> None:
        self.count = count
        self.process = ManagedProcess(home, self.name)
        self._home = home

    def start(self) -> None:
        """Start the process; the devices come online a moment later.

        Raises:
            StackError: the process cannot be started.
        """
        options = (
            "--devices",
            str(self.count),
            "--prefix",
            PREFIX,
            "--group",
            GROUP,
            "--home",
            str(self._home.root),
        )
        self.process.start(Command((sys.executable, "-P", "-m", "k1_cli", "sim", *options)))
