"""The analysis engine: from an audio file to a Genesis map. A pure package without bus, database and HTTP.

Version, configuration, presets and errors are imported at once, which is cheap. The pipeline is imported when it is
first used (PEP 562), because its libraries cost a process half a second and 100 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from k1_analysis.engine.config import ENGINE, ENGINE_NAME, ENGINE_VERSION, analysis_config
from k1_analysis.engine.errors import EngineError, ErrorCode
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.presets import Preset, UnknownPresetError, find_preset, presets

if TYPE_CHECKING:
    from k1_analysis.engine.pipeline import (
        Analysis,
        Preview,
        Progress,
        analyse_file,
        inference_cpu_s,
        warm_up,
    )

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
    "inference_cpu_s",
    "presets",
    "warm_up",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("k1_analysis.engine.pipeline"), name)
