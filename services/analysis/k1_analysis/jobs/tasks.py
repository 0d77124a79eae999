"""What the worker processes of the slots do: analyse a song, make its show, and write the files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyinstrument import Profiler
from pyinstrument.renderers import SpeedscopeRenderer

from k1_analysis import engine
from k1_analysis.artefacts import AnalysisArtefacts, ArtefactFile, describe_file
from k1_analysis.jobs.cpu_time import TaskResult, measure_cpu
from k1_analysis.shows.tasks import MAP_NAME, ShowTask, make_show
from k1_analysis.task_progress import TaskProgress
from k1_contracts.base import rfc3339
from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.analysis import BeatPreview
from k1_contracts.tracks import AnalysisSummary, Notice

_PROFILE_INTERVAL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class AnalysisTask:
    """A song to analyse."""

    audio: Path
    scratch: Path
    filename: str
    audio_sha256: str
    preset: str | None
    max_minutes: float


def warm_up() -> None:
    """Load the libraries and the network before the first song arrives."""
    engine.warm_up()


def run_task(
    task: AnalysisTask | ShowTask, report: Callable[[TaskProgress], None]
) -> TaskResult[AnalysisArtefacts | tuple[ArtefactFile, ...]]:
    """Run one task of a slot and measure its CPU time. The show is a second task after the analysis, because it may fail alone."""
    return measure_cpu(
        lambda: analyse(task, report) if isinstance(task, AnalysisTask) else make_show(task, report),
        engine.inference_cpu_s,
    )


def analyse(task: AnalysisTask, report: Callable[[TaskProgress], None]) -> AnalysisArtefacts:
    """Analyse a song and write its artefacts into the scratch folder.

    Raises:
        EngineError: the song cannot be analysed; its code gives the reason.
    """

    def on_progress(progress: engine.Progress) -> None:
        preview = progress.preview and BeatPreview(
            analysed_ms=progress.preview.analysed_ms,
            bpm=progress.preview.bpm,
            beat_grid_ms=progress.preview.beat_grid_ms,
        )
        report(TaskProgress(progress.stage, progress.percent, preview))

    with Profiler(interval=_PROFILE_INTERVAL_S, async_mode="disabled") as profiler:
        analysis = engine.analyse_file(
            task.audio,
            filename=task.filename,
            audio_sha256=task.audio_sha256,
            preset=task.preset,
            limits=engine.Limits(max_minutes=task.max_minutes),
            progress=on_progress,
            timestamp_utc=rfc3339(datetime.now(UTC)),
        )
    # Nothing leaves this process that the model of the contract does not accept.
    validated = GenesisMap.model_validate(analysis.genesis)
    genesis = task.scratch / MAP_NAME
    genesis.write_bytes(analysis.genesis_json)
    metrics = task.scratch / "phase2b_metrics.json"
    metrics.write_text(json.dumps(analysis.metrics), encoding="utf-8")
    profile = task.scratch / "profile.speedscope.json"
    profile.write_text(profiler.output(SpeedscopeRenderer()), encoding="utf-8")
    waveform = task.scratch / "waveform.dat"
    waveform.write_bytes(analysis.waveform)
    return AnalysisArtefacts(
        files=(
            describe_file(genesis, "genesis_map"),
            describe_file(metrics, "metrics"),
            describe_file(waveform, "waveform"),
            describe_file(profile, "speedscope"),
        ),
        summary=summarise(validated),
        warnings=tuple(Notice(code=w.code, message=w.message) for w in validated.metadata.warnings),
    )


def summarise(genesis: GenesisMap) -> AnalysisSummary:
    """Return the figures of a map that lists and reports show."""
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
