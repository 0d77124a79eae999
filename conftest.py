"""Fixtures of every test in the repository, and which tests share a worker."""

import re
from collections.abc import Generator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.support.checked_http", "tests.support.infrastructure", "tests.support.system"]

settings.register_profile("k1", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k1")  # A busy machine is no bug.

TOGETHER: Final = {
    "tests/e2e/test_deployments.py": "stage",
    "tests/e2e/": "system",
    "tests/chaos/test_kills.py": "system",
}
"""Tests of several files that share a running system, by the beginning of their ids; others go file by file."""
SLOWEST_FIRST: Final = (
    "system",
    "deployments 0",
    "deployments 1",
    "services/analysis/tests/engine/test_golden.py",
    "cli/tests/test_deployment_commands.py",
    "cli/tests/test_supervisor.py",
    "services/telemetry/tests/test_leadership.py",
    "services/deploy/tests/test_takeover.py",
    "services/deploy/tests/test_saga_machine.py",
    "cli/tests/test_command_line.py",
    "cli/tests/test_embedded_stack.py",
    "stage",
)
"""Begun before all others, so that none is left for the end."""
_SEEDED_RUN: Final = re.compile(r"tests/chaos/test_deployments\.py::test_a_deployment_under_fire\[(\d+)\]")
_WORLDS: Final = 2
"""Mostly a seeded run waits, for a lease or a device: two worlds side by side take half the time."""


def group_of(nodeid: str) -> str:
    """Tests of one group run on one worker, one after the other."""
    if seeded := _SEEDED_RUN.match(nodeid):
        return f"deployments {int(seeded[1]) % _WORLDS}"
    path = nodeid.partition("::")[0]
    return next((group for start, group in TOGETHER.items() if nodeid.startswith(start)), path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order in which groups are to begin; within them as they are, which is at random."""
    ranks = {group: rank for rank, group in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: ranks.get(group_of(item.nodeid), len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in what a test has logged: pytest-xdist ends a worker whose report holds one."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


class Scheduling(LoadScopeScheduling):
    """Group by group to the workers.

    In place of the mark `xdist_group`, which pytest-xdist 3.8 cannot see under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Called by pytest-xdist where tests are spread over workers."""
    config.option.loadscopereorder = False  # that would be by the number of tests
    return Scheduling(config, log)
