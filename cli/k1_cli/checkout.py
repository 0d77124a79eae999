"""The folder of this checkout, the default home, and the modules that are run in the folder."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder with the `k1` script; the packages are installed from it as editable."""

DEFAULT_HOME = ROOT / ".k1"


def run_module(*arguments: str) -> int:
    """Run `python -m` with these arguments in the checkout, one thread for each process; return the exit code."""
    # Processes share the cores; threads of a numerical library would only wait for one another.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=False
    ).returncode
