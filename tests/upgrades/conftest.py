"""Gives these tests more time before a hung one is ended."""

import faulthandler
from typing import Final

import pytest

LONGEST_S: Final = 1200.0


@pytest.fixture(autouse=True)
def _more_time() -> None:
    """Replace the limit of the suite; pytest cancels it at the end of each test."""
    faulthandler.dump_traceback_later(LONGEST_S, exit=True)
