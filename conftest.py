"""Loads the fixtures of all tests, and starts their groups in order."""

import gc
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.groups import SLOWEST_FIRST, group_of

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--long`, which sends many new requests to the API instead of a few fixed ones."""
    parser.addoption("--long", action="store_true", help="take the time for many generated requests")


def pytest_configure(config: pytest.Config) -> None:
    """Give property tests more examples in a long run; those that state a number keep it."""
    if config.getoption("--long"):
        settings.load_profile("k1-long")


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
