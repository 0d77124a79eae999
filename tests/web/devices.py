"""Simulated devices for tests in the browser, besides those of the stage."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.web.conftest import Stage


@contextmanager
def simulated(stage: Stage, *arguments: str) -> Iterator[None]:
    """Run `k1 sim` with arguments."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("K1_")}
    command = [sys.executable, "-m", "k1_cli", "sim", *arguments, "--home", str(stage.system.home)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def online(stage: Stage) -> set[str]:
    """Return the devices that can be deployed to: online, and known by their hello."""
    items = stage.call("GET", "/devices")["items"]
    return {device["id"] for device in items if device["online"] and device.get("firmware")}
