"""The simulated K1s that `k1 up` runs beside the services: `k1 sim` as a child."""

import sys
from typing import Final

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.processes import Command, ManagedProcess

PREFIX: Final = "demo"
"""Their ids are `demo-0001` ...; those of a `k1 sim` that somebody starts beside it are others."""
GROUP: Final = "demo"


class SimulatedDevices:
    """One process with all of them; what each holds is kept under the home."""

    name = "simulated-devices"

    def __init__(self, home: Home, count: int) -> None:
        self.count = count
        self.process = ManagedProcess(home, self.name)
        self._home = home

    def start(self) -> None:
        """Start the process; the devices come online a moment later.

        Raises:
            StackError: it cannot be started.
        """
        own = (
            "--devices",
            str(self.count),
            "--prefix",
            PREFIX,
            "--group",
            GROUP,
            "--home",
            str(self._home.root),
        )
        self.process.start(Command((sys.executable, "-P", "-m", "k1_cli", "sim", *own)))
