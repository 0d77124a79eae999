"""Runs a service as a real process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.documents.checked_http import check_gateway
from tests.support.fork_server import ForkedProcess
from tests.support.waiting import PATIENCE_S, wait_until


@dataclass(frozen=True)
class RunningService:
    """A service that has started."""

    url: str
    process: ForkedProcess | subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_service(
    name: str,
    environment: Mapping[str, str],
    folder: Path,
    *,
    wait_until_ready: bool = True,
    packages: Sequence[Path] = (),
) -> Iterator[RunningService]:
    """Run `python -m k1_<name>` with these variables until the block ends; write its log to `folder`.

    It is imported from the folders `packages` if given, and then its API is not compared with the document of this
    release.
    """
    log = folder / f"{name}-{time.monotonic_ns()}.jsonl"
    log.touch()
    variables = {**os.environ, **environment}
    process = (
        _start_from(packages, name, variables, log)
        if packages
        else ForkedProcess(f"k1_{name}", variables, log)
    )
    try:
        url = f"http://127.0.0.1:{_port(process, log)}"
        if wait_until_ready:
            _wait_until_ready(url)
        if name == "gateway" and not packages:
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


def _start_from(
    packages: Sequence[Path], name: str, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a service in a new interpreter: the fork server has already imported that of this release."""
    path = os.pathsep.join(map(str, packages))
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", f"k1_{name}"],
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def log_entries(log: Path) -> list[dict[str, Any]]:
    """Return what the service has logged so far."""
    whole, _, _ = log.read_text().rpartition("\n")  # the last line may be half written
    lines = whole.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _port(process: ForkedProcess | subprocess.Popen[bytes], log: Path) -> int:
    def listens_or_ended() -> list[int] | None:
        ports = [each["addresses"][0][1] for each in log_entries(log) if each["message"] == "listening"]
        ended = process.poll() is not None
        assert ports or not ended, f"the service ended before it listened:\n{log.read_text()[-3000:]}"
        return ports

    return wait_until(listens_or_ended, f"the service listens; its log is {log}", interval_s=0.02)[0]


def _wait_until_ready(url: str) -> None:
    response: httpx.Response | None = None

    def ready() -> bool:
        nonlocal response
        response = httpx.get(f"{url}/readyz", timeout=30)
        return response.status_code == 200

    try:
        wait_until(ready, "the service is ready", interval_s=0.02, retry_on=(httpx.HTTPError,))
    except AssertionError as error:
        raise AssertionError(f"{error}: {response.text if response else 'no response'}") from None
