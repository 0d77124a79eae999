"""Runs one job: fetch the song, analyse it in a child, make its show in a child, store what was made."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from k1_analysis.child_work import EngineJob, EngineProgress, ShowJob
from k1_analysis.engine import ENGINE, analysis_config
from k1_analysis.errors import JobFailedError
from k1_analysis.job import (
    MANIFEST,
    MAX_ATTEMPTS,
    Made,
    MadeFile,
    artefact_prefix,
    completed,
    content_type,
)
from k1_analysis.show import show_identity
from k1_contracts.messages.analysis import AnalysisCompleted, AnalysisJob, BeatPreview
from k1_contracts.tracks import Notice
from k1_platform.children import ChildFailedError, ChildPool, WorkRaisedError
from k1_platform.objects import ObjectMissingError, ObjectStore

Report = Callable[[str, float, BeatPreview | None], None]

_FETCHED_PERCENT = 3.0
_ANALYSED_PERCENT = 85.0
_SHOWN_PERCENT = 97.0
_log = logging.getLogger(__name__)


class JobRunner:
    """What every slot of a worker shares: the object store and the children."""

    def __init__(self, objects: ObjectStore, children: ChildPool, max_minutes: float) -> None:
        self._objects = objects
        self._children = children
        self._max_minutes = max_minutes

    async def run(self, job: AnalysisJob, report: Report) -> AnalysisCompleted:
        """Analyse, or answer from an earlier analysis of the same audio and configuration.

        Raises:
            JobFailedError: the song cannot be analysed.
            TransientError: the object store failed; the same call may succeed later.
        """
        began = time.monotonic()
        config = {"analysis": analysis_config(job.preset), "show": show_identity()}
        prefix = artefact_prefix(job.audio.sha256, ENGINE, config)
        made = await self._made_before(prefix)
        reused = made is not None
        if made is None:
            made, prefix = await self._make(job, prefix, report)
        return completed(
            job,
            made,
            prefix=prefix,
            engine=ENGINE,
            elapsed_ms=round((time.monotonic() - began) * 1000, 1),
            reused=reused,
            at=datetime.now(UTC),
        )

    async def _made_before(self, prefix: str) -> Made | None:
        try:
            return Made.from_json(await self._objects.get_bytes(f"{prefix}/{MANIFEST}"))
        except ObjectMissingError:
            return None

    async def _make(self, job: AnalysisJob, prefix: str, report: Report) -> tuple[Made, str]:
        """What was made, and where it lies."""
        with tempfile.TemporaryDirectory(prefix="k1-analysis-") as folder:
            scratch = Path(folder)
            audio = scratch / f"source{Path(job.audio.key).suffix}"
            report("fetch", 0.0, None)
            try:
                await self._objects.get_file(job.audio.key, audio)
            except ObjectMissingError as error:
                raise JobFailedError(
                    "audio_missing", "The song is no longer in the object store; upload it again."
                ) from error
            report("fetch", _FETCHED_PERCENT, None)
            made = await self._analyse(job, audio, scratch, report)
            show = await self._show(job, scratch, report)
            report("store", _SHOWN_PERCENT, None)
            if isinstance(show, Notice):
                # Elsewhere, so that the next analysis of this song tries again.
                prefix = f"{prefix}/without-show/{job.job_id}"
                made = replace(made, warnings=(*made.warnings, show))
            else:
                made = replace(made, files=made.files + show)
            await self._store(made, scratch, prefix)
            return made, prefix

    async def _show(self, job: AnalysisJob, scratch: Path, report: Report) -> tuple[MadeFile, ...] | Notice:
        """The files of the show, or why there is none: the map is worth keeping without it."""

        def on_progress(progress: EngineProgress) -> None:
            span = _SHOWN_PERCENT - _ANALYSED_PERCENT
            report("graph", _ANALYSED_PERCENT + span * progress.percent / 100, None)

        report("graph", _ANALYSED_PERCENT, None)
        try:
            return await self._children.run(ShowJob(scratch, job.preset), on_progress)
        except WorkRaisedError as error:
            _log.exception("no show was made", extra={"job_id": job.job_id, "trace": error.trace})
            reason = str(error)
        except ChildFailedError as error:
            _log.warning("no show was made", extra={"job_id": job.job_id, "code": error.code})
            reason = str(error)
        message = f"The map is good, but no light show could be made of it: {reason}. Analyse the song again."
        return Notice(code="graph_failed", message=message)

    async def _analyse(self, job: AnalysisJob, audio: Path, scratch: Path, report: Report) -> Made:
        engine_job = EngineJob(
            audio=audio,
            scratch=scratch,
            filename=job.filename,
            audio_sha256=job.audio.sha256,
            preset=job.preset,
            max_minutes=self._max_minutes,
        )
        stage = "start"

        def on_progress(progress: EngineProgress) -> None:
            nonlocal stage
            stage = progress.stage
            span = _ANALYSED_PERCENT - _FETCHED_PERCENT
            report(stage, _FETCHED_PERCENT + span * progress.percent / 100, progress.preview)

        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._children.run(engine_job, on_progress)
            except WorkRaisedError as error:
                if error.code is None:
                    _log.exception("the engine failed", extra={"job_id": job.job_id, "trace": error.trace})
                code = error.code or "crashed"
                raise JobFailedError(code, str(error), stage=stage, attempts=attempt) from error
            except ChildFailedError as error:
                _log.warning(
                    "a child failed", extra={"job_id": job.job_id, "code": error.code, "try": attempt}
                )
                if attempt >= MAX_ATTEMPTS:
                    raise JobFailedError(error.code, str(error), stage=stage, attempts=attempt) from error

    async def _store(self, made: Made, scratch: Path, prefix: str) -> None:
        await asyncio.gather(
            *(
                self._objects.put_bytes(
                    f"{prefix}/{file.name}", (scratch / file.name).read_bytes(), content_type(file.name)
                )
                for file in made.files
            )
        )
        # Last: where the manifest lies, everything that it names lies.
        await self._objects.put_bytes(f"{prefix}/{MANIFEST}", made.to_json(), "application/json")
