"""Starting the services fast: one process imports what they share, then forks each of them.

Importing FastStream, aiohttp and OpenTelemetry costs every service more than a second of processor time; ten
such seconds at each `k1 up` are most of the wait on two cores. The nursery pays once. It only serves the
start: its children pass to the supervisor at once, it ends when all run, and a service that must be restarted
later is started as anywhere else, with `python -m`.
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
from k1_cli.stack.embedded.processes import Child, Command, bound_to_us

SHARED_MODULES: Final = (
    "k1_platform.service",
    "k1_platform.objects",
    "k1_platform.database",
    "k1_platform.outbox",
    "k1_platform.inbox",
)
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.001


class Adopted:
    """A process that was forked elsewhere and is now our child: what `Popen` would be for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, a negative signal number, or None while it runs."""
        if self._code is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, or raise subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_PAUSE)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Nursery:
    """The supervisor's side: commands in, children out."""

    def __init__(self, log: Path) -> None:
        """Begin importing; `log` takes what goes wrong there."""
        # Orphans of our children come to us: that is how a fork of the nursery becomes our child.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        command = Command((sys.executable, "-P", "-m", "k1_cli.stack.zygote"))
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                bound_to_us(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self._turn = threading.Lock()

    def spawn(self, command: Command, log: Path) -> Child:
        """Start `python -m MODULE`, which must be what `command` says.

        Raises:
            StackError: the nursery has failed; start the command in the plain way instead.
        """
        order = {
            "module": command.argv[-1],
            "environment": dict(command.environment),
            "log": str(log),
            "death_signal": int(command.stop_signal),
            "parent": os.getpid(),
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._turn:
            try:
                stdin.write(json.dumps(order) + "\n")
                stdin.flush()
                return Adopted(int(stdout.readline()))
            except (OSError, ValueError) as error:
                raise StackError("the nursery has ended") from error

    def close(self) -> None:
        """End it; its children stay. Harmless when it has ended."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """The nursery itself: import, then fork for each order that comes in; the fork returns and runs."""
    for name in SHARED_MODULES:
        importlib.import_module(name)
    if threading.active_count() > 1:
        sys.exit("a shared module starts a thread: forking is not safe any more")
    gc.collect()
    gc.freeze()  # so that the collector does not touch, and thereby copy, the pages that all share
    for line in sys.stdin:
        order = json.loads(line)
        if first_parent := _fork_twice():
            _become(first_parent=first_parent, **order)


def _fork_twice() -> int | None:
    """In the grandchild, which leads a session of its own, its parent: that ends at once, so it is adopted."""
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


def _become(
    *, first_parent: int, module: str, environment: dict[str, str], log: str, death_signal: int, parent: int
) -> NoReturn:
    while os.getppid() == first_parent:
        time.sleep(_PAUSE)
    # Only now: a change of parent would fire the signal.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor has ended")
    nothing, output = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
    )
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.update(environment)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
