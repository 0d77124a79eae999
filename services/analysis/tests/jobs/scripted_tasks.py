"""Replaces the engine in the worker processes: the bytes of the song select what it does."""

import ctypes
import json
import time
from collections.abc import Callable

from k1_analysis.artefacts import AnalysisArtefacts, ArtefactFile, describe_file
from k1_analysis.engine import EngineError
from k1_analysis.jobs.cpu_time import TaskResult
from k1_analysis.jobs.tasks import AnalysisTask
from k1_analysis.shows.tasks import ShowTask
from k1_analysis.task_progress import TaskProgress
from k1_contracts.tracks import AnalysisSummary, Notice

SUMMARY = AnalysisSummary(
    duration_ms=1000.0,
    bpm=120.0,
    beat_count=2,
    downbeat_count=1,
    f_measure=0.9,
    f_measure_reference="consensus",
    time_signature="4/4",
    key="A",
    scale="minor",
    section_count=1,
)


def run_scripted_task(
    job: AnalysisTask | ShowTask, report: Callable[[TaskProgress], None]
) -> TaskResult[AnalysisArtefacts | tuple[ArtefactFile, ...]]:
    return (
        TaskResult(show(job, report), 0.5, 0.0)
        if isinstance(job, ShowTask)
        else TaskResult(analysis(job, report), 1.5, 0.25)
    )


def show(job: ShowTask, report: Callable[[TaskProgress], None]) -> tuple[ArtefactFile, ...]:
    report(TaskProgress("graph", 50.0))
    what = json.loads((job.scratch / "track.genesis.json").read_text())["song"]
    if what == "showless":
        raise ZeroDivisionError("a bug in the show")
    if what == "show-crash":
        ctypes.string_at(0)
    if what == "show-hang":
        while True:
            time.sleep(60)
    graph = job.scratch / "graph.json"
    graph.write_text("{}")
    return (describe_file(graph, "graph"),)


def analysis(job: AnalysisTask, report: Callable[[TaskProgress], None]) -> AnalysisArtefacts:
    report(TaskProgress("beats", 50.0))
    what = job.audio.read_text().split()[0]
    if what == "crash":
        ctypes.string_at(0)
    if what == "crash-once" and not (marker := job.audio.parents[1] / f"{job.audio_sha256}.tried").exists():
        marker.touch()
        ctypes.string_at(0)
    if what == "hang":
        while True:
            time.sleep(60)
    if what == "undecodable":
        raise EngineError("decode_failed", "no audio stream could be decoded")
    if what == "bug":
        raise ZeroDivisionError("a bug")
    genesis = job.scratch / "track.genesis.json"
    genesis.write_text(json.dumps({"song": what}))
    return AnalysisArtefacts(
        (describe_file(genesis, "genesis_map"),), SUMMARY, (Notice(code="w", message="a warning"),)
    )
