"""The figures of a map that lists and reports show. Pure."""

from k1_contracts.genesis import GenesisMap
from k1_contracts.tracks import AnalysisSummary, Notice


def summarised(genesis: GenesisMap) -> AnalysisSummary:
    """What a list shows of a map."""
    metrics, layers = genesis.global_metrics, genesis.layers
    decoder = genesis.metadata.decoder
    return AnalysisSummary(
        duration_ms=metrics.duration_ms,
        bpm=metrics.bpm,
        beat_count=len(layers.rhythm.beat_grid_ms),
        downbeat_count=len(layers.rhythm.downbeat_ms),
        f_measure=metrics.f_measure,
        f_measure_reference=metrics.f_measure_reference,
        time_signature=metrics.time_signature,
        key=metrics.key,
        scale=metrics.scale,
        integrated_lufs=metrics.integrated_lufs,
        section_count=len(layers.annotations.sections),
        confidence=metrics.confidence,
        integrity=decoder.integrity if decoder else None,
        pcm_sha256=genesis.metadata.hashes.pcm_sha256,
    )


def notices(genesis: GenesisMap) -> tuple[Notice, ...]:
    """The map's warnings as the events carry them."""
    return tuple(Notice(code=w.code, message=w.message) for w in genesis.metadata.warnings)
