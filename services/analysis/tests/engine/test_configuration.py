"""Tests the engine's name and its presets."""

import subprocess
import sys

from k1_analysis.engine.presets import find_preset, presets


def test_naming_the_engine_is_cheap() -> None:
    """Importing version, configuration or errors loads none of the large libraries."""
    program = (
        "import sys\nfrom k1_analysis.engine import ENGINE, EngineError, Limits, analysis_config, find_preset\n"
        "analysis_config('edm')\n"
        "print(sorted({'av', 'essentia', 'scipy', 'pydantic'} & set(sys.modules)))\n"
        "from k1_analysis.engine import Analysis, analyse_file, warm_up\n"
        "print('scipy' in sys.modules)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert output.stdout.split("\n")[:2] == ["[]", "True"]


def test_every_preset_is_whole() -> None:
    """Six names lead to five presets, and their sections are labels of the map."""
    assert set(presets()) == {"edm", "rock", "orchestral", "jazz", "hiphop"}
    assert find_preset("edm_high_energy") == find_preset("edm")
    for preset in presets().values():
        assert preset.tempo_bpm[1] >= 2 * preset.tempo_bpm[0] * 0.8
