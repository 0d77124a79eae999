"""What the child processes of the worker do: run the engine and write its files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyinstrument import Profiler
from pyinstrument.renderers import SpeedscopeRenderer

from k1_analysis import engine
from k1_analysis.job import Made, described
from k1_analysis.summary import notices, summarised
from k1_contracts.base import rfc3339
from k1_contracts.commands import BeatPreview
from k1_contracts.genesis import GenesisMap

_PROFILE_INTERVAL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class EngineJob:
    """What a child is told."""

    audio: Path
    scratch: Path
    filename: str
    audio_sha256: str
    preset: str | None
    max_minutes: float


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """What a child tells on its way."""

    stage: str
    percent: float
    preview: BeatPreview | None = None


def warm_up() -> None:
    """Load everything that the first song would otherwise wait for."""
    engine.warm_up()


def analyse(job: EngineJob, report: Callable[[EngineProgress], None]) -> Made:
    """Analyse a song and write its artefacts into the scratch folder.

    Raises:
        EngineError: the song cannot be analysed; its code says why.
    """

    def on_progress(progress: engine.Progress) -> None:
        preview = progress.preview and BeatPreview(
            analysed_ms=progress.preview.analysed_ms,
            bpm=progress.preview.bpm,
            beat_grid_ms=progress.preview.beat_grid_ms,
        )
        report(EngineProgress(progress.stage, progress.percent, preview))

    with Profiler(interval=_PROFILE_INTERVAL_S, async_mode="disabled") as profiler:
        analysis = engine.analyse_file(
            job.audio,
            filename=job.filename,
            audio_sha256=job.audio_sha256,
            preset=job.preset,
            limits=engine.Limits(max_minutes=job.max_minutes),
            progress=on_progress,
            timestamp_utc=rfc3339(datetime.now(UTC)),
        )
    # The contract's own model has the last word on what leaves this process.
    found = GenesisMap.model_validate(analysis.genesis)
    genesis = job.scratch / "track.genesis.json"
    genesis.write_bytes(analysis.genesis_json)
    metrics = job.scratch / "phase2b_metrics.json"
    metrics.write_text(json.dumps(analysis.metrics), encoding="utf-8")
    profile = job.scratch / "profile.speedscope.json"
    profile.write_text(profiler.output(SpeedscopeRenderer()), encoding="utf-8")
    return Made(
        files=(
            described(genesis, "genesis_map"),
            described(metrics, "metrics"),
            described(profile, "speedscope"),
        ),
        summary=summarised(found),
        warnings=notices(found),
    )
