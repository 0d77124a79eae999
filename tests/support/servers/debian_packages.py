"""Programs of Debian packages, unpacked into a cache folder: nothing is installed, and root is not needed.

apt checks the signatures. Where there is no apt or no archive can be reached, the tests that need the programs are
skipped; in CI they fail.
"""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

_CACHE: Final = Path(__file__).parents[3] / ".cache" / "debian"
_LIMIT_S: Final = 300
_NEWER_RELEASE: Final = "trixie"
_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpacked(package: str, program: str, *, at_least: str = "0") -> str:
    """Return the path of a program of a package; the first process unpacks it, others wait.

    Where the release of this machine has a version older than `at_least`, the package of Debian 13 is taken.
    """
    folder = _CACHE / f"{package}-{at_least}"
    found = folder / "usr" / "bin" / program
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not found.exists():
            _unpack(package, at_least, folder)
    return str(found)


def _unpack(package: str, at_least: str, folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _give_up(package, "this machine has no apt")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = () if _is_new_enough(package, at_least) else _use_newer_release(package)
    done = _run("apt-get", *options, "download", package, cwd=folder)
    archives = list(folder.glob("*.deb"))
    if done.returncode != 0 or not archives:
        _give_up(package, done.stderr)
    subprocess.run(["dpkg", "-x", str(archives[0]), str(folder)], check=True, timeout=_LIMIT_S)
    archives[0].unlink()


def _is_new_enough(package: str, at_least: str) -> bool:
    version = re.search(
        r"^Version: (\S+)$", _run("apt-cache", "show", "--no-all-versions", package).stdout, re.MULTILINE
    )
    return version is None or _run("dpkg", "--compare-versions", version[1], "ge", at_least).returncode == 0


def _use_newer_release(package: str) -> Sequence[str]:
    """Return options by which apt uses the newer release, from the mirror that this machine uses and lists of its own."""
    mirror = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"
    )
    if not mirror.stdout:
        _give_up(package, "this machine has no mirror of Debian")
    folder = _CACHE / _NEWER_RELEASE
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {mirror.stdout.split()[0]} {_NEWER_RELEASE} main\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    if (updated := _run("apt-get", *options, "update")).returncode != 0:
        _give_up(package, updated.stderr)
    return options


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_LIMIT_S, check=False)


def _give_up(package: str, reason: str) -> None:
    message = f"the Debian package {package} could not be unpacked; try `apt-get update`: {reason[-600:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
