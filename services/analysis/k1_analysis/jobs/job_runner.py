"""Runs one job: fetches the song, has it analysed and its show made in worker processes, stores the artefacts."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from k1_analysis.artefacts import (
    FILES_REVISION,
    MANIFEST,
    AnalysisArtefacts,
    ArtefactFile,
    artefact_prefix,
    content_type,
)
from k1_analysis.engine import ENGINE, analysis_config
from k1_analysis.errors import JobFailedError
from k1_analysis.jobs.cpu_time import TaskResult
from k1_analysis.jobs.job_events import MAX_ATTEMPTS, Usage, analysis_completed
from k1_analysis.jobs.tasks import AnalysisTask
from k1_analysis.shows.show import show_identity
from k1_analysis.shows.tasks import ShowTask
from k1_analysis.task_progress import TaskProgress
from k1_contracts.messages.analysis import AnalysisCompleted, AnalysisJob, BeatPreview
from k1_contracts.tracks import Notice
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkError
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

Report = Callable[[str, float, BeatPreview | None], None]

_FETCHED_PERCENT = 3.0
_ANALYSED_PERCENT = 85.0
_SHOW_MADE_PERCENT = 97.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRunner:
    """Runs jobs for all slots of a worker, which share the object store and the worker pool."""

    objects: ObjectStore
    pool: WorkerPool
    max_minutes: float

    async def run(self, job: AnalysisJob, report: Report) -> AnalysisCompleted:
        """Analyse the song, or reuse an earlier analysis of the same audio and configuration.

        Raises:
            JobFailedError: the song cannot be analysed.
            TransientError: the object store failed; a later call may succeed.
        """
        began = time.monotonic()
        config = {
            "analysis": analysis_config(job.preset),
            "show": show_identity(),
            "files": FILES_REVISION,
        }
        prefix = artefact_prefix(job.audio.sha256, ENGINE, config)
        made = await self._find_earlier(prefix)
        if made is not None and not await self._has_all_files(made, prefix):
            made, prefix = None, f"{prefix}/again/{job.job_id}"
        reused = made is not None
        usage = Usage(0.0, 0.0, 0)
        if made is None:
            made, prefix, usage = await self._produce(job, prefix, report)
        return analysis_completed(
            job,
            made,
            prefix=prefix,
            engine=ENGINE,
            elapsed_ms=round((time.monotonic() - began) * 1000, 1),
            reused=reused,
            usage=usage,
            at=datetime.now(UTC),
        )

    async def _find_earlier(self, prefix: str) -> AnalysisArtefacts | None:
        """Return an earlier analysis. Its manifest is stored again, because a cleanup removes no young folder."""
        try:
            manifest = await self.objects.get_bytes(f"{prefix}/{MANIFEST}")
        except ObjectNotFoundError:
            return None
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", manifest, "application/json")
        return AnalysisArtefacts.from_json(manifest)

    async def _has_all_files(self, made: AnalysisArtefacts, prefix: str) -> bool:
        """Return whether no file of an earlier analysis was deleted since.

        If one was, the analysis is made again in another folder: here it would replace files that versions refer to.
        """
        found = await asyncio.gather(*(self.objects.exists(f"{prefix}/{file.name}") for file in made.files))
        return all(found)

    async def _produce(
        self, job: AnalysisJob, prefix: str, report: Report
    ) -> tuple[AnalysisArtefacts, str, Usage]:
        """Produce and store the artefacts; return them, their prefix and what they used."""
        with tempfile.TemporaryDirectory(prefix="k1-analysis-") as folder:
            scratch = Path(folder)
            audio = scratch / f"source{Path(job.audio.key).suffix}"
            report("fetch", 0.0, None)
            try:
                await self.objects.get_file(job.audio.key, audio)
            except ObjectNotFoundError as error:
                raise JobFailedError(
                    "audio_missing", "The song is no longer in the object store; upload it again."
                ) from error
            report("fetch", _FETCHED_PERCENT, None)
            analysed = await self._analyse(job, audio, scratch, report)
            show = await self._make_show(job, scratch, report)
            report("store", _SHOW_MADE_PERCENT, None)
            made, cpu_s = analysed.value, analysed.cpu_s
            if isinstance(show, Notice):
                # A prefix of its own, so that the next analysis of this song tries the show again.
                prefix = f"{prefix}/without-show/{job.job_id}"
                made = replace(made, warnings=(*made.warnings, show))
            else:
                made = replace(made, files=made.files + show.value)
                cpu_s += show.cpu_s
            await self._store(made, scratch, prefix)
            return (
                made,
                prefix,
                Usage(cpu_s, analysed.inference_s, sum(file.size_bytes for file in made.files)),
            )

    async def _make_show(
        self, job: AnalysisJob, scratch: Path, report: Report
    ) -> TaskResult[tuple[ArtefactFile, ...]] | Notice:
        """Return the files of the show, or a notice why there is none: the map is useful without it."""

        def on_progress(progress: TaskProgress) -> None:
            span = _SHOW_MADE_PERCENT - _ANALYSED_PERCENT
            report("graph", _ANALYSED_PERCENT + span * progress.percent / 100, None)

        report("graph", _ANALYSED_PERCENT, None)
        try:
            return await self.pool.run(ShowTask(scratch, job.preset), on_progress)
        except WorkError as error:
            _log.exception("show failed", extra={"job_id": job.job_id, "trace": error.trace})
            reason = str(error)
        except WorkerFailedError as error:
            _log.warning("show failed", extra={"job_id": job.job_id, "code": error.code})
            reason = str(error)
        message = f"The map is good, but no light show could be made of it: {reason}. Analyse the song again."
        return Notice(code="graph_failed", message=message)

    async def _analyse(
        self, job: AnalysisJob, audio: Path, scratch: Path, report: Report
    ) -> TaskResult[AnalysisArtefacts]:
        task = AnalysisTask(
            audio=audio,
            scratch=scratch,
            filename=job.filename,
            audio_sha256=job.audio.sha256,
            preset=job.preset,
            max_minutes=self.max_minutes,
        )
        stage = "start"

        def on_progress(progress: TaskProgress) -> None:
            nonlocal stage
            stage = progress.stage
            span = _ANALYSED_PERCENT - _FETCHED_PERCENT
            report(stage, _FETCHED_PERCENT + span * progress.percent / 100, progress.preview)

        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.pool.run(task, on_progress)
            except WorkError as error:
                if error.code is None:
                    _log.exception("analysis failed", extra={"job_id": job.job_id, "trace": error.trace})
                code = error.code or "crashed"
                raise JobFailedError(code, str(error), stage=stage, attempts=attempt) from error
            except WorkerFailedError as error:
                _log.warning(
                    "worker process failed", extra={"job_id": job.job_id, "code": error.code, "try": attempt}
                )
                if attempt >= MAX_ATTEMPTS:
                    raise JobFailedError(error.code, str(error), stage=stage, attempts=attempt) from error

    async def _store(self, made: AnalysisArtefacts, scratch: Path, prefix: str) -> None:
        await asyncio.gather(
            *(
                self.objects.put_bytes(
                    f"{prefix}/{file.name}", (scratch / file.name).read_bytes(), content_type(file.name)
                )
                for file in made.files
            )
        )
        # Last: a stored manifest means that all files that it names are stored.
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", made.to_json(), "application/json")
