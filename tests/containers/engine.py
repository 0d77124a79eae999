"""Provides a Docker Engine: that of this machine, or one that is unpacked into a folder of ours.

The second is for a Debian machine without Docker, as root. Nothing is started at boot, and no socket or network of the
machine is touched: it listens on a socket in its folder, and runs containers in a network namespace of its own. Images
are built in the machine's network, because the namespace reaches nothing outside of it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.containers.progress import CommandError, last_lines, run, say

FOLDER: Final = Path("/var/tmp/k1-containers")
"""Where an engine of ours is kept, so that later runs are quick; it takes 11 GB."""
_NAMESPACE: Final = "k1containers"
_TOOLS: Final = {"debootstrap": "debootstrap", "iptables": "iptables", "ip": "iproute2", "runc": "runc"}
"""Programs that the engine needs, and the Debian packages that have them."""
_PACKAGES: Final = ("docker.io", "containerd", "libdevmapper1.02.1")
_PLUGINS: Final = ("docker-compose", "docker-buildx")
_START_S: Final = 60.0
_STOP_S: Final = 120.0


class Engine(Protocol):
    """Where containers run."""

    environment: Mapping[str, str]
    """The environment of programs that talk to it."""
    inside: Sequence[str]
    """What a command begins with that has to reach the published ports."""
    folder: Path
    """For files that containers mount and that must stay as long as they do."""
    is_own: bool

    @contextmanager
    def building(self) -> Generator[None]:
        """Let images be built while the block runs."""
        ...

    @contextmanager
    def running(self, *, keep: bool = False) -> Generator[None]:
        """Let containers run while the block runs; with `keep` afterwards too."""
        ...


def find_engine(folder: Path = FOLDER) -> Engine:
    """Return the engine of this machine if it answers, else one of our own in the folder.

    Raises:
        CommandError: there is none, and none can be made here.
    """
    if os.environ.get("DOCKER_HOST") != _socket(folder) and answers(os.environ):
        return MachineEngine(folder)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CommandError(
            "no Docker answers (`docker version`), and one can be made on Debian by root only; install Docker with Compose"
        )
    return OwnEngine(folder)


def answers(environment: Mapping[str, str]) -> bool:
    """Return whether an engine answers."""
    try:
        run("docker", "version", environment=environment, limit_s=_START_S)
    except CommandError:
        return False
    return True


def _socket(folder: Path) -> str:
    return f"unix://{folder}/docker.sock"


class MachineEngine:
    """The engine that is installed on this machine; it stays as it is."""

    def __init__(self, folder: Path) -> None:
        self.environment: Mapping[str, str] = os.environ
        self.inside: Sequence[str] = ()
        self.folder = folder
        self.is_own = False
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def building(self) -> Generator[None]:
        yield

    @contextmanager
    def running(self, *, keep: bool = False) -> Generator[None]:
        del keep
        yield


@dataclass(frozen=True, slots=True)
class _Daemon:
    """The process of an engine, as its folder describes it."""

    pid_file: Path

    @property
    def pid(self) -> int | None:
        """The process, if it is alive."""
        try:
            pid = int(self.pid_file.read_text())
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        return pid

    def stop(self) -> None:
        """Stop it and wait until it has ended.

        Raises:
            CommandError: it does not end.
        """
        pid, deadline = self.pid, time.monotonic() + _STOP_S
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        while self.pid is not None:
            if time.monotonic() > deadline:
                raise CommandError(f"the engine (process {pid}) does not end")
            time.sleep(0.2)


class OwnEngine:
    """An engine from Debian's packages, unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / "engine" / "usr"
        self.environment: Mapping[str, str] = {
            **os.environ,
            "DOCKER_HOST": _socket(folder),
            "DOCKER_CONFIG": str(folder / "configuration"),
            "PATH": f"{programs}/sbin:{programs}/bin:{os.environ['PATH']}",
            # What cleans up after testcontainers is an image that has to be pulled.
            "TESTCONTAINERS_RYUK_DISABLED": "true",
        }
        self.inside: Sequence[str] = ("nsenter", f"--net=/run/netns/{_NAMESPACE}")
        self.is_own = True
        self._daemon = _Daemon(folder / "docker.pid")
        self._mode = folder / "network"

    @property
    def root(self) -> Path:
        """The file system of the image that stands in for Python's."""
        return self.folder / "rootfs"

    @contextmanager
    def building(self) -> Generator[None]:
        self._unpack()
        self._start("machine", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
        yield

    @contextmanager
    def running(self, *, keep: bool = False) -> Generator[None]:
        if not Path(f"/run/netns/{_NAMESPACE}").exists():
            run("ip", "netns", "add", _NAMESPACE)
        run("ip", "netns", "exec", _NAMESPACE, "ip", "link", "set", "lo", "up")
        self._start("namespace", prefix=self.inside)
        try:
            yield
        finally:
            if not keep:
                self.stop()

    def stop(self) -> None:
        """Stop the engine and remove its network."""
        self._daemon.stop()
        self._mode.unlink(missing_ok=True)
        if Path(f"/run/netns/{_NAMESPACE}").exists():
            run("ip", "netns", "del", _NAMESPACE)

    def _start(self, mode: str, *options: str, prefix: Sequence[str] = ()) -> None:
        """Start the daemon in one of the two networks, unless it runs there already."""
        if self._daemon.pid is not None and self._mode.exists() and self._mode.read_text() == mode:
            return
        self._daemon.stop()
        data, state = self.folder / "data", self.folder / "state"
        command = [*prefix, "dockerd", "--data-root", str(data), "--exec-root", str(state)]
        command += [
            "-H",
            _socket(self.folder),
            "-p",
            str(self._daemon.pid_file),
            "--storage-driver",
            "overlay2",
        ]
        log = self.folder / "dockerd.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, *options],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not answers(self.environment):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"the engine does not start:\n{last_lines(log.read_text())}")
            time.sleep(0.3)
        self._mode.write_text(mode)

    def _unpack(self) -> None:
        """Get the programs and the file system of the base image, once."""
        done = self.folder / "unpacked"
        if done.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        say("no Docker here: unpacking an engine from Debian's packages (once)")
        run("apt-get", "-qq", "update")
        if missing := [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]:
            run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing)
        self._unpack_packages(_PACKAGES, self.folder / "engine")
        self._make_root()
        plugins = self.folder / "configuration" / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        for plugin in (self.folder / "plugins" / "usr" / "libexec" / "docker" / "cli-plugins").iterdir():
            shutil.copy2(plugin, plugins)
        done.touch()

    def unpacked(self, package: str) -> Path:
        """Return the folder with the files of a package of Debian 13, whatever this machine has."""
        target = self.folder / "packages-13" / package
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            run("chroot", self.root, "apt-get", "-qq", "update")
            self._download_inside([package], target)
            shutil.rmtree(self.root / "var/lib/apt/lists")
        return target

    def _download_inside(self, packages: Sequence[str], target: Path) -> None:
        """Unpack packages of the base image's release; its lists have to be there."""
        get = f"cd /tmp && apt-get -qq -o APT::Sandbox::User=root download {' '.join(packages)}"
        run("chroot", self.root, "sh", "-c", get)
        for archive in (self.root / "tmp").glob("*.deb"):
            run("dpkg", "-x", archive, target)
            archive.unlink()

    def _unpack_packages(self, packages: Sequence[str], target: Path) -> None:
        downloads = self.folder / "downloads"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir()
        # As the user of apt it could not write here.
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages, cwd=downloads)
        for archive in downloads.glob("*.deb"):
            run("dpkg", "-x", archive, target)

    def _make_root(self) -> None:
        """Make Debian 13 with its Python 3.13; its packages also bring Compose and buildx, which run here as plugins."""
        if not self.root.exists():
            draft = self.folder / "rootfs.new"
            shutil.rmtree(draft, ignore_errors=True)
            run(
                *("debootstrap", "--variant=minbase", "--include=ca-certificates,python3,python3-venv,wget"),
                *("trixie", draft),
            )
            draft.rename(self.root)
        shutil.copy("/etc/resolv.conf", self.root / "etc")
        inside = ("chroot", self.root)
        run(*inside, "apt-get", "-qq", "update")
        self._download_inside(_PLUGINS, self.folder / "plugins")
        for needless in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(self.root / needless, ignore_errors=True)
        (self.root / "usr/local/bin/python").unlink(missing_ok=True)
        (self.root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        # The machine may reach the registries of packages by a proxy with its own CA.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", self.root / "etc/ssl/certs")
        (self.root / "etc/uv").mkdir(exist_ok=True)
        (self.root / "etc/uv/uv.toml").write_text("system-certs = true\n")
