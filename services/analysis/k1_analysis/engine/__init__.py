"""The analysis engine: a pure package, usable alone. No bus, no database, no HTTP."""

from k1_analysis.engine.config import ENGINE, ENGINE_NAME, ENGINE_VERSION, analysis_config
from k1_analysis.engine.errors import EngineError, ErrorCode
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.pipeline import Analysis, Preview, Progress, analyse_file, warm_up
from k1_analysis.engine.presets import Preset, UnknownPresetError, find_preset, presets

__all__ = [
    "ENGINE",
    "ENGINE_NAME",
    "ENGINE_VERSION",
    "Analysis",
    "EngineError",
    "ErrorCode",
    "Limits",
    "Preset",
    "Preview",
    "Progress",
    "UnknownPresetError",
    "analyse_file",
    "analysis_config",
    "find_preset",
    "presets",
    "warm_up",
]
