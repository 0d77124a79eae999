"""Where this checkout and the default home are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `k1`; the packages are installed from it editable."""

DEFAULT_HOME = ROOT / ".k1"
