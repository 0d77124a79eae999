"""The number of CPUs that a process may use, from fake trees of /proc and /sys."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from k1_platform.processes.cpus import available_cpus

CORES = 16
V2 = "0::/kubepods/pod1/container\n"
V1 = "5:memory:/docker/c1\n4:cpu,cpuacct:/docker/c1\n1:name=systemd:/docker/c1\n"


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine have more cores than any quota here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)))


@pytest.mark.parametrize(
    ("cgroup", "files", "cpus"),
    [
        pytest.param("0::/\n", {"cpu.max": "250000 100000\n"}, 2, id="v2 in a container"),
        pytest.param("0::/\n", {"cpu.max": "50000 100000\n"}, 1, id="v2, less than one CPU"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, CORES, id="v2 without a quota"),
        pytest.param("0::/\n", {"cpu.max": "9900000 100000\n"}, CORES, id="v2, more than there is"),
        pytest.param(
            V2,
            {"kubepods/pod1/container/cpu.max": "max 100000", "kubepods/pod1/cpu.max": "300000 100000"},
            3,
            id="v2, the quota of the pod",
        ),
        pytest.param(V2, {"cpu.max": "400000 100000"}, 4, id="v2, the path of the host"),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2,
            id="v1 in a container",
        ),
        pytest.param(
            V1,
            {
                "cpu,cpuacct/docker/c1/cpu.cfs_quota_us": "150000",
                "cpu,cpuacct/docker/c1/cpu.cfs_period_us": "50000",
            },
            3,
            id="v1 on the host",
        ),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            CORES,
            id="v1 without a quota",
        ),
        pytest.param(V2, {}, CORES, id="nothing to read"),
    ],
)
def test_the_quota_of_the_control_group_counts(
    tmp_path: Path, cgroup: str, files: Mapping[str, str], cpus: int
) -> None:
    """The smallest quota of the group and those above it, rounded down, and at least one CPU."""
    written = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in {"proc/self/cgroup": cgroup, **written}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cpus(tmp_path) == cpus


def test_a_machine_without_control_groups_has_its_cores(tmp_path: Path) -> None:
    """Without any of the files the affinity alone counts."""
    assert available_cpus(tmp_path) == CORES
