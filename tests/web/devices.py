"""Simulated devices for tests in the browser, besides those of the stage."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.deployment_orders import immediate_order
from tests.support.processes import inherited_environment
from tests.support.system import wait_for
from tests.web.conftest import Stage


@contextmanager
def simulated(stage: Stage, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `k1 sim` with arguments until the end of the block."""
    command = [sys.executable, "-m", "k1_cli", "sim", *arguments, "--home", str(stage.system.home)]
    process = subprocess.Popen(
        command, env=inherited_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def online(stage: Stage) -> set[str]:
    """Return the devices that can be deployed to: online, and known by their hello."""
    items = stage.call("GET", "/devices")["items"]
    return {device["id"] for device in items if device["online"] and device.get("firmware")}


def deploy(stage: Stage, track_id: str, device_ids: list[str]) -> str:
    """Deploy version 1 of a track to devices, at once; return the id of the deployment that succeeded."""
    wait_for(lambda: set(device_ids) <= online(stage), "the devices are online")
    deployment_id = stage.call("POST", "/deployments", json=immediate_order(track_id, device_ids))[
        "deployment_id"
    ]
    path = f"/deployments/{deployment_id}"
    wait_for(lambda: stage.call("GET", path)["status"] == "succeeded", "the song is deployed")
    return deployment_id
