"""Counts the CPUs that a process may use, for services whose number of worker processes follows from it.

The affinity of a process names the cores of the machine. In a container the limit is mostly a quota of its control
group (cgroup, version 1 or 2), which the affinity does not show.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")
_CGROUPS: Final = "sys/fs/cgroup"


def available_cpus(root: Path = _ROOT) -> int:
    """Return how many CPUs this process may use at once, at least 1; a quota of 2.5 CPUs counts as 2.

    `root`: the folder that holds `proc` and `sys`.
    """
    quotas = [int(quota) for quota in _quotas(root)]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota of each control group of this process that has one, in CPUs."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers == "":
            for folder in _with_parents(root / _CGROUPS, path):
                yield from _quota_of_v2(folder)
        elif "cpu" in names:
            # The hierarchy has the name of all its controllers; mostly a link with the name of one leads to it.
            for mount in {root / _CGROUPS / controllers, root / _CGROUPS / "cpu"}:
                for folder in _with_parents(mount, path):
                    yield from _quota_of_v1(folder)


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folders of a control group and of those above it, each of which may have a quota.

    Inside a container the path may be that of the host, while the mount shows the group of the container; then only
    the mount exists.
    """
    group = PurePosixPath(path.lstrip("/"))
    for each in (group, *group.parents):
        yield mount / each


def _quota_of_v2(folder: Path) -> Iterator[float]:
    with suppress(ValueError):  # no such file, or "max", which is no limit
        quota, period = map(int, _read(folder / "cpu.max").split())
        yield quota / period


def _quota_of_v1(folder: Path) -> Iterator[float]:
    with suppress(ValueError):  # no such file
        quota = int(_read(folder / "cpu.cfs_quota_us"))
        period = int(_read(folder / "cpu.cfs_period_us"))
        if quota > 0:  # -1 is no limit
            yield quota / period


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""
