"""Runs deploy as a real process, and restarts it as a supervisor does."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from k1_cli.stack.embedded.processes import Child, Command
from k1_cli.stack.zygote import Zygote


@dataclass
class DeployProcess:
    """`python -m k1_deploy`; `keep_running` starts it again after it has ended."""

    zygote: Zygote
    """Forks it from a process that has imported everything: otherwise most of a run would be spent on starts."""
    environment: dict[str, str]
    log: Path
    process: Child | None = None
    not_before_s: float = 0.0
    """The earliest time of the next start, by the monotonic clock."""

    def keep_running(self) -> None:
        """Start the process if it does not run and its time has come."""
        if (
            self.process is None or self.process.poll() is not None
        ) and time.monotonic() >= self.not_before_s:
            program = (sys.executable, "-P", "-m", "k1_deploy")
            command = Command(program, stop_signal=signal.SIGKILL, environment=self.environment)
            self.process = self.zygote.spawn(command, self.log)

    def kill(self, duration_s: float) -> None:
        """Kill it with SIGKILL, and do not start it again for so long."""
        self.not_before_s = time.monotonic() + duration_s
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the process if there is one."""
        if self.process:
            self.process.send_signal(number)

    def stop(self) -> None:
        """End the process, with SIGKILL if it does not stop in 20 s."""
        self.signal(signal.SIGTERM)
        if self.process:
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.process.wait()
