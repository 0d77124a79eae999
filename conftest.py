"""Fixtures of every test in the repository, and which tests share a worker."""

import re
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.support.infrastructure", "tests.support.system"]

settings.register_profile("k1", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k1")  # A busy machine is no bug.

TOGETHER: Final = {
    "tests/e2e/": "system",
    "tests/chaos/test_kills.py": "system",
    "cli/tests/test_supervisor.py": "supervisor",
    "cli/tests/test_embedded_stack.py": "embedded",
}
"""Tests that share something which is expensive to start, by the beginning of their ids."""
_SEEDED_RUN: Final = re.compile(r"tests/chaos/test_deployments\.py::test_a_deployment_under_fire\[(\d+)\]")
_WORLDS: Final = 2
"""Mostly a seeded run waits, for a lease or a device: two worlds side by side take half the time."""


class Scheduling(LoadScopeScheduling):
    """Test by test to the workers, but for those of one group, which all go to one.

    In place of the mark `xdist_group`, which pytest-xdist 3.8 cannot see under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        if seeded := _SEEDED_RUN.match(nodeid):
            return f"deployments {int(seeded[1]) % _WORLDS}"
        return next((group for start, group in TOGETHER.items() if nodeid.startswith(start)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Called by pytest-xdist where tests are spread over workers."""
    return Scheduling(config, log)
