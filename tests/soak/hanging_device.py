"""Runs a device that overheats and hangs again and again, so that there are alarms of temperature and of silence."""

import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.system import System

PREFIX: Final = "hot"
FAULTS: Final = """
faults:
  - {devices: "*", fault: overheat, step: start, degrees_per_s: 30, repeat: always}
"""
WORKS_S: Final = (3.0, 9.0)
HANGS_S: Final = (4.0, 9.0)
"""A device is silent after five seconds, so some hangs are noticed and some are not. Some alarms flap."""


@dataclass
class HangingDevice:
    """Suspends the process of the device and resumes it; at the end the device says bye."""

    system: System
    folder: Path
    hangs: int = 0

    def run(self, chance: random.Random, stopped: threading.Event) -> None:
        """Go on until stopped."""
        file = self.folder / "overheating.yaml"
        file.write_text(FAULTS)
        options = ("--devices", "1", "--prefix", PREFIX, "--faults", str(file))
        command = [sys.executable, "-m", "k1_cli", "sim", *options, "--json", "--home", str(self.system.home)]
        with (self.folder / "hot.log").open("ab") as log:
            while not stopped.is_set():
                # It ends by itself where it cannot connect at its start.
                process = subprocess.Popen(command, stdout=log, stderr=log)
                while process.poll() is None and not stopped.wait(chance.uniform(*WORKS_S)):
                    process.send_signal(signal.SIGSTOP)
                    self.hangs += 1
                    stopped.wait(chance.uniform(*HANGS_S))
                    process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait()
