"""`python -m k1_analysis`."""

from k1_analysis.app import wire
from k1_analysis.settings import AnalysisSettings
from k1_platform.service import run_service

if __name__ == "__main__":
    settings = AnalysisSettings()
    run_service("analysis", settings, lambda runtime: wire(runtime, settings))
