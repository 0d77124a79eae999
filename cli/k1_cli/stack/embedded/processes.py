"""One child process: started in its own session, logged to a file, dying with its parent, always reaped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from k1_cli.stack.embedded import launch
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home

# The kernel's "parent" is the thread that forked: a short-lived one would take its children along when it
# ends. One thread, alive until the interpreter stops, therefore starts every child.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="k1-spawn")

_TAIL_BYTES = 4_096
_HARMLESS = frozenset({"PATH", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR"})
_LOG_LIMIT = 16 * 1024 * 1024
_SAME_PROCESS_SECONDS = 1.0
_PREDECESSOR_PATIENCE = 3.0
_TIMES_AFTER_KILL = 10


@dataclass(frozen=True)
class User:
    """The account that a child runs under."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run and how to stop it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to this process's own environment; secrets go here rather than on the command line."""
    stop_signal: signal.Signals = signal.SIGTERM
    user: User | None = None


def bound_to_us(command: Command) -> list[str]:
    """The arguments that run `command` as its user, tied to the life of the thread that starts it."""
    user = command.user or User(-1, -1)
    binding = (int(command.stop_signal), os.getpid(), user.uid, user.gid)
    return [sys.executable, "-I", "-S", launch.__file__, *map(str, binding), *command.argv]


class Child(Protocol):
    """What a started process must offer; `subprocess.Popen` does."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


Spawn = Callable[[Command, Path], Child]
"""Starts a command with its output in a log file, as the leader of a session of its own."""


def spawn(command: Command, log: Path) -> Child:
    """The plain way.

    Raises:
        StackError: the program cannot be started.
    """
    return _spawner.submit(_open_process, command, log).result()


def _open_process(command: Command, log: Path) -> Child:
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                bound_to_us(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment_of(command),
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(f"cannot start {command.argv[0]}: {error}") from error


def environment_of(command: Command) -> dict[str, str]:
    """Return the variables of a child. Our own may hold secrets, which are not for processes of another user."""
    inherited = {
        name: value for name, value in os.environ.items() if command.user is None or name in _HARMLESS
    }
    return {**inherited, **command.environment}


class ManagedProcess:
    """A named child of a stack, with its log in `<home>/logs/<name>.log`."""

    def __init__(self, home: Home, name: str) -> None:
        self.name = name
        self.log = home.logs / f"{name}.log"
        self._record = home.run / f"{name}.pid"
        self._child: Child | None = None
        self._stop_signal = signal.SIGTERM
        self._swept = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: a code, a negative signal number, or None while it runs or before it ran."""
        return None if self._child is None else self._child.poll()

    def start(self, command: Command, spawner: Spawn = spawn) -> None:
        """Start `command`, after ending what a killed predecessor may have left running.

        Raises:
            StackError: the program cannot be started, or the predecessor does not end.
        """
        self.kill()  # a crashed child may have left children of its own
        self._end_predecessor()
        self._rotate_log()
        self._swept = False
        self._stop_signal = command.stop_signal
        self._child = spawner(command, self.log)
        created = psutil.Process(self._child.pid).create_time()
        self._record.write_text(json.dumps({"pid": self._child.pid, "created": created}))

    def wait(self) -> int:
        """Wait until the child ends by itself; returns its exit code."""
        if self._child is None:
            raise StackError(f"{self.name} was not started")
        code = self._child.wait()
        self._record.unlink(missing_ok=True)
        return code

    def request_stop(self) -> None:
        """Ask the child to end; `stop` then waits for it."""
        if self._child is not None and self.alive:
            self._child.send_signal(self._stop_signal)

    def stop(self, patience: float = 10.0) -> None:
        """End the child in its own way, by force after `patience` seconds, with everything in its session."""
        if self._child is None:
            return
        if self.alive:
            self.request_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(patience)
        self.kill()

    def kill(self) -> None:
        """`kill -9` the child and everything in its session, and wait until it is gone."""
        if self._child is None or self._swept:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._swept = True  # from now on the number may belong to a stranger
        self._record.unlink(missing_ok=True)

    def log_tail(self, lines: int = 8) -> str:
        """The last lines that the child wrote."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _end_predecessor(self) -> None:
        """A supervisor killed a moment ago leaves children that are still stopping: they hold our files."""
        try:
            record = json.loads(self._record.read_text())
            predecessor = psutil.Process(record["pid"])
            created = predecessor.create_time()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        if abs(created - record["created"]) > _SAME_PROCESS_SECONDS:
            return  # the number has passed to a stranger
        if not _ends(predecessor):
            with contextlib.suppress(psutil.NoSuchProcess):
                predecessor.kill()
            if not any(_ends(predecessor) for _ in range(_TIMES_AFTER_KILL)):
                raise StackError(f"{self.name} of an earlier start, process {predecessor.pid}, does not end")


def _ends(process: psutil.Process) -> bool:
    """Whether it ends within seconds; one that nobody has waited for by then has ended as well.

    Not sooner: while it is still listed, PostgreSQL for one takes it for a running server.
    """
    try:
        process.wait(_PREDECESSOR_PATIENCE)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True
