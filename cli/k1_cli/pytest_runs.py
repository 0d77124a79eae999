"""Runs the tests of the checkout with pytest."""

import os
import subprocess
import sys
from typing import Final

from k1_cli.checkout import ROOT

BROWSER_TESTS: Final = "tests/web"
"""The tests of the page in Chromium, which are skipped where there is none."""


def run_pytest(*arguments: str) -> int:
    """Run pytest in the checkout and return its exit code."""
    # The workers share the cores; threads of a numerical library would only wait for one another.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
