"""Programs of Debian packages, unpacked into a cache folder: nothing is installed, and root is not needed.

apt checks the signatures. Where there is no apt or no archive can be reached, the tests that need the programs are
skipped; in CI they fail.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_CACHE: Final = Path(__file__).parents[2] / ".cache" / "debian"
_LIMIT_S: Final = 300


def unpacked(package: str, program: str) -> str:
    """Return the path of a program of a package; the first process unpacks it, others wait."""
    folder = _CACHE / package
    found = folder / "usr" / "bin" / program
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not found.exists():
            _unpack(package, folder)
    return str(found)


def _unpack(package: str, folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _give_up(package, "this machine has no apt")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["apt-get", "download", package],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    archives = list(folder.glob("*.deb"))
    if done.returncode != 0 or not archives:
        _give_up(package, done.stderr)
    subprocess.run(["dpkg", "-x", str(archives[0]), str(folder)], check=True, timeout=_LIMIT_S)
    archives[0].unlink()


def _give_up(package: str, reason: str) -> None:
    message = f"the Debian package {package} could not be unpacked; try `apt-get update`: {reason[-600:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
