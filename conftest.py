"""Loads the fixtures of all tests, and decides which tests share a worker and which start first."""

import gc
import re
from collections.abc import Generator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = [
    "tests.support.documents.checked_http",
    "tests.support.fork_server",
    "tests.support.infrastructure",
    "tests.support.system",
    "tests.support.signed_in",
]

settings.register_profile(
    "k1", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)  # A slow machine must not fail a test.
settings.register_profile("k1-long", settings.get_profile("k1"), max_examples=400)
settings.load_profile("k1")

SHARED_GROUPS: Final = {
    "tests/e2e/test_deployments.py": "system with devices",
    "tests/e2e/": "system",
    "tests/chaos/test_kills": "system",
    "tests/web/": "web",
}
"""Groups of tests that share a running system, by the prefix of their ids; other tests are grouped by file."""
SLOWEST_FIRST: Final = (
    "system",
    "deployments 0",
    "deployments 1",
    "services/analysis/tests/engine/test_golden.py",
    "web",
    "system with devices",
    "cli/tests/commands/fleet/test_deployment_commands.py",
    "cli/tests/stack/test_supervisor.py",
    "services/telemetry/tests/leadership/test_leadership.py",
    "services/deploy/tests/deployments/test_failures.py",
    "services/deploy/tests/deployments/test_takeover.py",
    "simulator/tests/links/test_link.py",
    "services/gateway/tests/live/test_telemetry_stream.py",
    "simulator/tests/transfers/test_transfers.py",
    "services/deploy/tests/saga/test_saga_machine.py",
    "cli/tests/test_command_line.py",
    "cli/tests/stack/embedded/test_embedded_stack.py",
)
"""Groups that start before all others, because a slow one that starts late would delay the end."""
_SEEDED_RUN: Final = re.compile(
    r"tests/chaos/test_deployments\.py::test_a_deployment_survives_chaos\[(\d+)\]"
)
_HARNESSES: Final = 2
"""A seeded run mostly waits for a lease or a device, so two harnesses side by side take half the time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--long`, which sends many new requests to the API instead of a few fixed ones."""
    parser.addoption("--long", action="store_true", help="take the time for many generated requests")


def pytest_configure(config: pytest.Config) -> None:
    """Give property tests more examples in a long run; those that state a number keep it."""
    if config.getoption("--long"):
        settings.load_profile("k1-long")


def group_of(nodeid: str) -> str:
    """Return the group of a test; the tests of a group run on one worker, one after the other."""
    if seeded := _SEEDED_RUN.match(nodeid):
        return f"deployments {int(seeded[1]) % _HARNESSES}"
    path = nodeid.partition("::")[0]
    return next((group for start, group in SHARED_GROUPS.items() if nodeid.startswith(start)), path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for long runs, and sort the tests by the order in which their groups start.

    Within a group they keep their random order.
    """
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
    ranks = {group: rank for rank, group in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: ranks.get(group_of(item.nodeid), len(ranks)))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking through all that the imports have made, again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave out the log of a test that passed, which is never shown, before a worker sends it.

    Escape lone surrogates in that of another one, because pytest-xdist ends a worker whose report has one.
    """
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode())
        for name, text in report.sections
        if not report.passed
    ]
    return report


class GroupScheduling(LoadScopeScheduling):
    """Gives whole groups to the workers.

    It replaces the mark `xdist_group`, which pytest-xdist 3.8 does not find under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Return the scheduler; pytest-xdist calls this when it distributes tests over workers."""
    config.option.loadscopereorder = False  # True would sort the groups by their number of tests
    return GroupScheduling(config, log)
