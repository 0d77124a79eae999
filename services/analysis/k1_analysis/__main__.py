"""Starts the analysis service: `python -m k1_analysis`."""

import os

# One song uses one core, so more threads of a linear algebra library only compete. numpy reads this when it loads.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

from k1_analysis.app import wire  # noqa: E402
from k1_analysis.settings import AnalysisSettings  # noqa: E402
from k1_platform.service import run_service  # noqa: E402

if __name__ == "__main__":
    settings = AnalysisSettings()
    run_service("analysis", settings, lambda runtime: wire(runtime, settings))
