"""Runs a device that overheats, and cuts its power again and again: alarms of temperature and of silence."""

import contextlib
import random
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.system import System

PREFIX: Final = "hot"
FAULTS: Final = """
faults:
  - {devices: "*", fault: overheat, step: start, degrees_per_s: 30, repeat: always}
"""
DEVICE: Final = f"{PREFIX}-0001"
ON_S: Final = (3.0, 9.0)
"""From the time at which the device is online to the cut; it is too hot after two seconds."""
OFF_S: Final = (1.0, 9.0)
"""A device is silent after five seconds, so some cuts are noticed and some are not."""
_PAUSE_S: Final = 0.5


@dataclass
class PowerCuts:
    """Starts the device, kills it without a bye, and so on; the last time it says bye."""

    system: System
    folder: Path
    count: int = 0

    def run(self, chance: random.Random, stopped: threading.Event) -> None:
        """Go on until stopped."""
        file = self.folder / "overheating.yaml"
        file.write_text(FAULTS)
        options = ("--devices", "1", "--prefix", PREFIX, "--faults", str(file))
        command = [sys.executable, "-m", "k1_cli", "sim", *options, "--json", "--home", str(self.system.home)]
        with (self.folder / "hot.log").open("ab") as log:
            while not stopped.is_set():
                process = subprocess.Popen(command, stdout=log, stderr=log)
                while process.poll() is None and not self._is_online() and not stopped.wait(_PAUSE_S):
                    pass
                if stopped.wait(chance.uniform(*ON_S)):
                    process.terminate()
                elif process.poll() is None:  # it ends by itself where it cannot connect at its start
                    process.kill()
                    self.count += 1
                process.wait()
                stopped.wait(chance.uniform(*OFF_S))

    def _is_online(self) -> bool:
        with contextlib.suppress(httpx.HTTPError, OSError):
            response = httpx.get(f"{self.system.url}/api/v1/devices/{DEVICE}", timeout=60)
            return response.status_code == 200 and response.json()["online"]
        return False
