"""Simulated devices of the soak in processes of their own."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.system import System, wait_for


def list_devices(system: System, prefix: str) -> list[dict[str, Any]]:
    """Return the devices whose ids begin with a prefix."""
    return [each for each in system.get("/devices?limit=200")["items"] if each["id"].startswith(prefix)]


@contextmanager
def simulated_devices(
    system: System, folder: Path, prefix: str, count: int, faults: str
) -> Generator["subprocess.Popen[bytes]"]:
    """Run devices in a process of `k1 sim`, which the block gets once they are online; at the end they say bye."""
    file = folder / f"{prefix}-faults.yaml"
    file.write_text(faults)
    options = ("--devices", str(count), "--prefix", prefix, "--group", prefix, "--faults", str(file))

    def all_online() -> bool:
        return sum(each["online"] for each in list_devices(system, prefix)) == count

    with (folder / f"{prefix}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "k1_cli", "sim", *options, "--json", "--home", str(system.home)],
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(all_online, f"the devices {prefix}-… are online")
            yield process
        finally:
            process.terminate()
            process.wait()
