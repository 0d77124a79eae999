"""A service as a real process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.checked_http import check_gateway

PATIENCE_S = 120.0


@dataclass(frozen=True)
class RunningService:
    """A service that was started and was ready."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_service(
    name: str, environment: Mapping[str, str], folder: Path, *, wait_until_ready: bool = True
) -> Iterator[RunningService]:
    """Run `python -m k1_<name>` with these variables until the block ends; its log goes to `folder`."""
    log = folder / f"{name}-{time.monotonic_ns()}.jsonl"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"k1_{name}"], env={**os.environ, **environment}, stderr=file
        )
    try:
        url = f"http://127.0.0.1:{_port(process, log)}"
        if wait_until_ready:
            _wait_until_ready(url)
        if name == "gateway":
            check_gateway(url)
        yield RunningService(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def log_entries(log: Path) -> list[dict[str, object]]:
    """What the service has logged so far."""
    whole, _, _ = log.read_text().rpartition("\n")  # the last line may be half written
    lines = whole.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        for entry in log_entries(log):
            if entry["message"] == "listening":
                return entry["addresses"][0][1]
        time.sleep(0.02)
    raise AssertionError(f"the service does not listen:\n{log.read_text()[-3000:]}")


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    answer: httpx.Response | httpx.HTTPError | None = None
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=30)
        except httpx.HTTPError as error:
            answer = error
        else:
            if answer.status_code == 200:
                return
        time.sleep(0.02)
    told = answer.text if isinstance(answer, httpx.Response) else answer
    raise AssertionError(f"the service is not ready: {told!r}")
