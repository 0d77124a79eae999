"""Deploy as a real process that a supervisor keeps running."""

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
    """`python -m k1_deploy`, started again whenever it has ended, as a supervisor does."""

    nursery: Zygote
    """Starting a process anew takes seconds of a busy machine, and most of a run would be spent on that."""
    environment: dict[str, str]
    log: Path
    process: Child | None = None
    held_until: float = 0.0
    """It is not started again before then, by the monotonic clock."""

    def keep_running(self) -> None:
        if (self.process is None or self.process.poll() is not None) and time.monotonic() >= self.held_until:
            program = (sys.executable, "-P", "-m", "k1_deploy")
            command = Command(program, stop_signal=signal.SIGKILL, environment=self.environment)
            self.process = self.nursery.spawn(command, self.log)

    def kill(self, away_s: float) -> None:
        """`kill -9`; it stays away for so long."""
        self.held_until = time.monotonic() + away_s
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        if self.process:
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.process.wait()
