"""The presets as an answer: what each tells the engine, and the show that it starts from."""

from typing import cast

from k1_analysis.engine import Preset as EnginePreset
from k1_analysis.engine import presets
from k1_contracts.graph_queries import BandGains, ListPresets, PresetList, PresetView, ShowTemplate
from k1_contracts.tracks import Preset
from k1_graph.recommendation.templates import template_for


async def list_presets(_: ListPresets) -> PresetList:
    """Every preset by its own name."""
    return PresetList(presets=[_view(preset) for preset in presets().values()])


def _view(preset: EnginePreset) -> PresetView:
    template = template_for(preset.name)
    return PresetView(
        name=cast("Preset", preset.name),
        title=preset.title,
        aliases=list(preset.aliases),
        tempo_bpm=preset.tempo_bpm,
        metres=list(preset.metres),
        band_gains=BandGains(bass=preset.bass_gain, mids=preset.mids_gain, highs=preset.highs_gain),
        sections=list(preset.sections),
        template=ShowTemplate(
            name=template.name,
            version=template.version,
            about=template.about,
            expected_bpm=template.expected_bpm,
            nodes=[dict(node) for node in template.nodes],
        ),
    )
