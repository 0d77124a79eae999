"""The folder of this checkout and the default home."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder with the `k1` script; the packages are installed from it as editable."""

DEFAULT_HOME = ROOT / ".k1"
