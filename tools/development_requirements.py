"""Writes requirements-development.txt: the names in the lock that only tests and checks need.

`.venv/bin/python tools/development_requirements.py` after each change of the lock, once `./k1 check` has installed it.
"""

import re
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
DOCUMENT = ROOT / "requirements-development.txt"

RUNNING = (
    *(
        "k1-gateway",
        "k1-ingest",
        "k1-analysis",
        "k1-catalogue",
        "k1-deploy",
        "k1-telemetry",
        "k1-webhooks",
        "k1-accounts",
    ),
    *("k1-simulator", "k1-cli"),
    # These install our own packages.
    *("hatchling", "editables"),
)

HEAD = """\
# The packages of requirements.lock that only `./k1 test` and `./k1 check` need; `./k1 up` leaves them out.
# Written by tools/development_requirements.py.
"""


def needed_to_run() -> set[str]:
    """Return the names of all packages that the services and the command line need, on any system."""
    found: set[str] = set()
    waiting = list(RUNNING)
    while waiting:
        needed = Requirement(waiting.pop())
        name = canonicalize_name(needed.name)
        for extra in {"", *needed.extras}:
            if (key := f"{name}[{extra}]") not in found:
                found.add(key)
                waiting += _requirements(name, extra)
    return {name.partition("[")[0] for name in found}


def _requirements(name: str, extra: str) -> list[str]:
    """Return what a package names for one extra; for packages of other systems, which are not installed here, nothing."""
    if name.startswith("k1-"):
        project = _projects()[name]
        return project.get("optional-dependencies", {}).get(extra, []) if extra else project["dependencies"]
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return []
    return [line for line in lines if _applies(line, extra)]


@cache
def _projects() -> dict[str, dict[str, Any]]:
    """Return our own packages as their pyproject.toml describes them: what is installed may be older."""
    files = [ROOT / "simulator/pyproject.toml", ROOT / "cli/pyproject.toml"]
    files += [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    projects = [tomllib.loads(file.read_text(encoding="utf-8"))["project"] for file in files]
    return {project["name"]: project for project in projects}


def _applies(line: str, extra: str) -> bool:
    """Whether the requirement holds for the extra; what depends on the system always does."""
    marker = Requirement(line).marker
    if marker is None:
        return True
    systems = ({}, {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"})
    return any(marker.evaluate({"extra": extra, **system}) for system in systems)


def document() -> str:
    """Return the text of the file as it has to be."""
    locked = re.findall(r"^([\w.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return HEAD + "".join(f"{name}\n" for name in sorted({*locked} - needed_to_run()))


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
