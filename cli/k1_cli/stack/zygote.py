"""Starts the services fast: a zygote process imports their shared modules once and forks each service.

Importing FastStream, aiohttp and OpenTelemetry costs each service more than a second of processor time, which is most
of the wait for `k1 up` on two cores. The zygote is used for the start only: its children become children of the
supervisor at once, it ends when all run, and a later restart of a service uses `python -m`.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final, NoReturn

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.launch import PR_SET_PDEATHSIG
from k1_cli.stack.embedded.processes import Child, Command, launch_command

SHARED_MODULES: Final = (
    "k1_platform.service",
    "k1_platform.storage.objects",
    "k1_platform.postgres.pool",
    "k1_platform.postgres.outbox",
    "k1_platform.postgres.inbox",
)
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.001


class AdoptedProcess:
    """A process that the zygote forked and that is now a child of this process; works as `subprocess.Popen` does."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, a negative signal number, or None while it runs."""
        if self._code is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_PAUSE)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Zygote:
    """The zygote as the supervisor uses it: gets commands, returns started children."""

    def __init__(self, log: Path) -> None:
        """Start the zygote, which begins to import; its errors go to `log`."""
        # As a subreaper we inherit the orphans of our children: so a fork of the zygote becomes our child.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        command = Command((sys.executable, "-P", "-m", "k1_cli.stack.zygote"))
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                launch_command(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self._lock = threading.Lock()

    def spawn(self, command: Command, log: Path) -> Child:
        """Start a command of the form `python -m MODULE [ARGUMENT ...]`.

        Raises:
            StackError: the zygote has ended; start the command without it.
        """
        module, *arguments = command.argv[command.argv.index("-m") + 1 :]
        request = {
            "module": module,
            "arguments": arguments,
            "environment": dict(command.environment),
            "log": str(log),
            "death_signal": int(command.stop_signal),
            "parent": os.getpid(),
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
                return AdoptedProcess(int(stdout.readline()))
            except (OSError, ValueError) as error:
                raise StackError("the zygote has ended") from error

    def close(self) -> None:
        """End the zygote; its children stay. Harmless when it has ended already."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Run the zygote: import the shared modules, then fork for each request; the fork runs the requested module."""
    for name in SHARED_MODULES:
        importlib.import_module(name)
    if threading.active_count() > 1:
        sys.exit("a shared module starts a thread: forking is not safe any more")
    gc.collect()
    gc.freeze()  # else the collector writes to the shared pages and so copies them
    for line in sys.stdin:
        request = json.loads(line)
        if first_parent := _fork_twice():
            _run_module(first_parent=first_parent, **request)


def _fork_twice() -> int | None:
    """Fork a grandchild that leads a new session; return in it the id of its parent, and None in the zygote.

    The parent in between ends at once, so that the supervisor becomes the parent of the grandchild.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        between = os.getpid()
        if os.fork() == 0:
            os.setsid()
            os.write(writing, str(os.getpid()).encode())
            return between
        os._exit(0)
    os.close(writing)
    os.wait()
    sys.stdout.write(os.read(reading, 32).decode() + "\n")
    sys.stdout.flush()
    os.close(reading)
    return None


def _run_module(
    *,
    first_parent: int,
    module: str,
    arguments: list[str],
    environment: dict[str, str],
    log: str,
    death_signal: int,
    parent: int,
) -> NoReturn:
    while os.getppid() == first_parent:
        time.sleep(_PAUSE)
    # Not earlier: a change of parent would trigger the signal.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor has ended")
    null, output = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
    )
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
