"""Runs child processes: each in a new session, with a log file, ended with its parent, and always reaped."""

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

# For the kernel the parent is the thread that forked, and the death signal comes when that thread ends. Therefore one
# thread, which lives until the interpreter stops, starts every child.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="k1-spawn")

_TAIL_BYTES = 4_096
_PUBLIC_VARIABLES = frozenset({"PATH", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR"})
_LOG_LIMIT = 16 * 1024 * 1024
_SAME_PROCESS_SECONDS = 1.0
_PREDECESSOR_PATIENCE = 3.0
_WAITS_AFTER_KILL = 10


@dataclass(frozen=True)
class User:
    """The account under which a child runs."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """A command to run, and the signal that stops it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables added to those of this process; secrets belong here and not on the command line."""
    stop_signal: signal.Signals = signal.SIGTERM
    user: User | None = None


def launch_command(command: Command) -> list[str]:
    """Return the arguments that run `command` as its user and end it with the thread that starts it."""
    user = command.user or User(-1, -1)
    launch_arguments = (int(command.stop_signal), os.getpid(), user.uid, user.gid)
    return [sys.executable, "-I", "-S", launch.__file__, *map(str, launch_arguments), *command.argv]


class Child(Protocol):
    """The interface of a started process; `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


Spawner = Callable[[Command, Path], Child]
"""Starts a command as the leader of a new session, with its output in a log file."""


def spawn(command: Command, log: Path) -> Child:
    """Start a command with `subprocess`, without the zygote.

    Raises:
        StackError: the program cannot be started.
    """
    return _spawner.submit(_open_process, command, log).result()


def _open_process(command: Command, log: Path) -> Child:
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                launch_command(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(command),
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(f"cannot start {command.argv[0]}: {error}") from error


def child_environment(command: Command) -> dict[str, str]:
    """Return the variables of a child. One of another user gets no secrets from the variables of this process."""
    inherited = {
        name: value for name, value in os.environ.items() if command.user is None or name in _PUBLIC_VARIABLES
    }
    return {**inherited, **command.environment}


class ManagedProcess:
    """A named child process of a stack, with its log in `<home>/logs/<name>.log`."""

    def __init__(self, home: Home, name: str) -> None:
        self.name = name
        self.log = home.logs / f"{name}.log"
        self._record = home.run / f"{name}.pid"
        self._child: Child | None = None
        self._stop_signal = signal.SIGTERM
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The process id, or None while it does not run."""
        return self._child.pid if self._child is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, a negative signal number, or None while it runs or before it ran."""
        return None if self._child is None else self._child.poll()

    def start(self, command: Command, spawner: Spawner = spawn) -> None:
        """Start `command`, after ending what an earlier process may have left running.

        Raises:
            StackError: the program cannot be started, or the earlier process does not end.
        """
        self.kill()  # a crashed child may have left children behind
        self._end_predecessor()
        self._rotate_log()
        self._killed = False
        self._stop_signal = command.stop_signal
        self._child = spawner(command, self.log)
        created = psutil.Process(self._child.pid).create_time()
        self._record.write_text(json.dumps({"pid": self._child.pid, "created": created}))

    def wait(self) -> int:
        """Wait until the child ends by itself and return its exit code."""
        if self._child is None:
            raise StackError(f"{self.name} was not started")
        code = self._child.wait()
        self._record.unlink(missing_ok=True)
        return code

    def request_stop(self) -> None:
        """Send the child its stop signal; `stop` then waits for its end."""
        if self._child is not None and self.alive:
            self._child.send_signal(self._stop_signal)

    def stop(self, patience: float = 10.0) -> None:
        """Stop the child with its stop signal, and kill its whole session after `patience` seconds or at its end."""
        if self._child is None:
            return
        if self.alive:
            self.request_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(patience)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the child and everything in its session, and wait until the child has ended."""
        if self._child is None or self._killed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._killed = True  # from now on another process may get this id
        self._record.unlink(missing_ok=True)

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines of the child's log."""
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
        """End the process of an earlier supervisor: after that was killed, its children still use our files."""
        try:
            record = json.loads(self._record.read_text())
            predecessor = psutil.Process(record["pid"])
            created = predecessor.create_time()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        if abs(created - record["created"]) > _SAME_PROCESS_SECONDS:
            return  # another process has this id now
        if not _wait_for_end(predecessor):
            with contextlib.suppress(psutil.NoSuchProcess):
                predecessor.kill()
            if not any(_wait_for_end(predecessor) for _ in range(_WAITS_AFTER_KILL)):
                raise StackError(f"{self.name} of an earlier start, process {predecessor.pid}, does not end")


def _wait_for_end(process: psutil.Process) -> bool:
    """Return whether the process ends within seconds; a zombie that its parent has not reaped by then has ended too.

    Zombies are waited for, because PostgreSQL takes a process that is still listed for a running server.
    """
    try:
        process.wait(_PREDECESSOR_PATIENCE)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True
