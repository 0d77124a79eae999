"""Starts services and commands as forks of one process that has imported them.

The imports cost each start about a second of processor time, and the tests start hundreds. The server is `python -m
tests.support.fork_server`: it reads one request a line and answers with one line.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

import pytest

from k1_cli.stack.zygote import SHARED_MODULES

_PAUSE_S: Final = 0.005
_making: Final = threading.Lock()


class ForkServer:
    """The server as a test process uses it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
        )
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> Any:
        """Send a request and return the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

    def close(self) -> None:
        """End the server, which then writes the coverage of its imports."""
        self._process.communicate()


@cache
def _make_server() -> ForkServer:
    return ForkServer()


def server() -> ForkServer:
    """Return the server of this test process, the same to all threads."""
    with _making:
        return _make_server()


@pytest.fixture(scope="module", autouse=True)
def fork_server_of_module() -> Iterator[None]:
    """End the fork server of `multiprocessing`: it has imported what the tests of this module asked for, and no more.

    A later module that asks for others would not get them, and each of its processes would import them.
    """
    yield
    vars(forkserver)["_forkserver"]._stop()


def pytest_sessionfinish() -> None:
    """End the server of this test process if it has one; pytest calls this."""
    if _make_server.cache_info().currsize:
        server().close()


class ForkedProcess:
    """A process that the server forked; works as `subprocess.Popen` does."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        log: Path,
        *,
        arguments: Sequence[str] = (),
        output: Path = Path(os.devnull),
    ) -> None:
        """Run `python -m MODULE ARGUMENTS` here with exactly this environment; its errors go to `log`."""
        self.returncode: int | None = None
        request = {"start": module, "arguments": list(arguments), "environment": dict(environment)}
        files = {"output": str(output), "log": str(log), "folder": str(Path.cwd())}
        self.pid: int = server().ask(request | files)

    def poll(self) -> int | None:
        """Return the exit code, a negative signal number, or None while it runs."""
        if self.returncode is None:
            self.returncode = server().ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_PAUSE_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop, by SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run_forked(
    module: str, *arguments: str, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` to its end, as `subprocess.run` does.

    Raises:
        subprocess.TimeoutExpired: it still ran after `timeout_s`, and was killed.
    """
    with TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = ForkedProcess(module, environment, errors, arguments=arguments, output=output)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess([module, *arguments], code, output.read_text(), errors.read_text())


def main() -> None:
    """Serve the requests of standard input until it is closed."""
    imported: set[str] = set()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _exit_code(request["poll"], ended)
        else:
            if request["start"] not in imported:
                imported.add(request["start"])
                _import(request["start"])
            answer = os.fork() or _run_module(request)
            ended.pop(answer, None)  # of an earlier process with this id
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _exit_code(process: int, ended: dict[int, int]) -> int | None:
    """Return the exit code of a child, and keep it in `ended` for another thread that asks; None while it runs."""
    if process not in ended:
        pid, status = os.waitpid(process, os.WNOHANG)
        if pid:
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended.get(process)


def _import(service: str) -> None:
    """Import what a service does before it runs."""
    for name in (*SHARED_MODULES, f"{service}.app"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "forking is not safe: a module has started a thread"
    gc.collect()
    gc.freeze()  # else the collector writes to the shared pages and so copies them


def _run_module(request: dict[str, Any]) -> NoReturn:
    null = os.open(os.devnull, os.O_RDWR)
    output, errors = (
        os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for name in ("output", "log")
    )
    for source, target in ((null, 0), (output, 1), (errors, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["start"], *request["arguments"]]
    runpy.run_module(request["start"], run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
