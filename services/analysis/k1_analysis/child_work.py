"""What the child processes of the worker do: run the engine, make shows, run graphs, and write the files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyinstrument import Profiler
from pyinstrument.renderers import SpeedscopeRenderer

from k1_analysis import engine
from k1_analysis.job import Made, MadeFile, described
from k1_analysis.show import Run, recommended, write_graph, write_run
from k1_analysis.summary import notices, summarised
from k1_contracts.base import rfc3339
from k1_contracts.commands import BeatPreview
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_graph.validation.validator import compile_graph

MAP_NAME: Final = "track.genesis.json"
_PROFILE_INTERVAL_S: Final = 0.005
_CHOSEN_PERCENT: Final = 35.0


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
class ShowJob:
    """A show to be made of the map that an EngineJob left in the scratch folder."""

    scratch: Path
    preset: str | None


@dataclass(frozen=True, slots=True)
class RunJob:
    """A graph to be run over a map; both were checked."""

    genesis: Path
    graph: GraphDocument
    scratch: Path


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """What a child tells on its way."""

    stage: str
    percent: float
    preview: BeatPreview | None = None


def warm_up() -> None:
    """Load everything that the first song would otherwise wait for."""
    engine.warm_up()


def work(job: EngineJob | ShowJob, report: Callable[[EngineProgress], None]) -> Made | tuple[MadeFile, ...]:
    """What a child of a slot does: the song first, then, as a job of its own that may fail alone, its show."""
    return analyse(job, report) if isinstance(job, EngineJob) else make_show(job, report)


def make_show(job: ShowJob, report: Callable[[EngineProgress], None]) -> tuple[MadeFile, ...]:
    """Choose the graph, run it over the song and write the artefacts of both.

    Raises:
        GraphError: no show can be made of this map.
    """
    genesis = GenesisMap.model_validate_json((job.scratch / MAP_NAME).read_bytes())
    document = recommended(genesis, job.preset)
    report(EngineProgress("graph", _CHOSEN_PERCENT))
    graph, made = write_graph(document, job.scratch)
    return made + write_run(graph, genesis, job.scratch).files


def run_graph(job: RunJob, _: Callable[[object], None]) -> Run:
    """Run a graph over a song and write what it showed.

    Raises:
        GraphError: the graph breaks rules, or the map cannot be used.
    """
    genesis = GenesisMap.model_validate_json(job.genesis.read_bytes())
    return write_run(compile_graph(job.graph), genesis, job.scratch)


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
    genesis = job.scratch / MAP_NAME
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
