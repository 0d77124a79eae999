"""Runs a device that overheats and hangs again and again, so that there are alarms of temperature and of silence."""

import random
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.soak.devices import simulated_devices
from tests.support.system import System

PREFIX: Final = "hot"
FAULTS: Final = """
faults:
  - {devices: "*", fault: overheat, step: start, degrees_per_s: 30, repeat: always}
"""
WORKS_S: Final = (3.0, 9.0)
HANGS_S: Final = (4.0, 12.0)
"""A device is silent after five seconds, so some hangs are noticed and some are not. Some alarms flap."""


@dataclass
class HangingDevice:
    """Suspends the process of the device and resumes it."""

    system: System
    folder: Path
    seed: int
    hangs: int = 0

    @contextmanager
    def running(self) -> Generator[None]:
        """Let the device hang from time to time while the block runs; at the end it says bye."""
        with simulated_devices(self.system, self.folder, PREFIX, 1, FAULTS) as process:
            stopped = threading.Event()

            def hang() -> None:
                chance = random.Random(f"{self.seed} hangs")
                while not stopped.wait(chance.uniform(*WORKS_S)):
                    process.send_signal(signal.SIGSTOP)
                    self.hangs += 1
                    stopped.wait(chance.uniform(*HANGS_S))
                    process.send_signal(signal.SIGCONT)

            thread = threading.Thread(target=hang, daemon=True)
            thread.start()
            try:
                yield
            finally:
                stopped.set()
                thread.join()
