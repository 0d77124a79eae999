"""Skips these tests in a run that is not `--long`, and gives them more time before a hung one is ended."""

import faulthandler
from typing import Final

import pytest

LONGEST_S: Final = 1200.0


@pytest.fixture(scope="session", autouse=True)
def _only_in_a_long_run(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("takes minutes: ./k1 test tests/upgrades --long")


@pytest.fixture(autouse=True)
def _more_time(_only_in_a_long_run: None) -> None:
    """Replace the limit of the suite; pytest cancels it at the end of each test."""
    faulthandler.dump_traceback_later(LONGEST_S, exit=True)
