"""Probing songs in child processes, which a hostile file may crash.

This process never imports libav: it lives in the children, see `decoding`.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

from k1_ingest.errors import UploadRefusedError
from k1_ingest.facts import AudioFacts, ProbeJob
from k1_ingest.sniffing import Container
from k1_platform.errors import TransientError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkerLimits, WorkError

_TIMEOUT_S: Final = 30.0
"""A probe takes milliseconds; a good song must not be refused because the machine was busy."""
_MEMORY_BYTES: Final = 512 * 1024 * 1024
_RECYCLE_AFTER: Final = 500
_REFUSALS: Final = {"unsupported_format": 415, "decode_failed": 422, "too_short": 422, "too_long": 422}


class Prober:
    """Probes files in warm child processes."""

    def __init__(self, processes: int, max_minutes: float) -> None:
        self._max_minutes = max_minutes
        self._pool = WorkerPool(
            _probe_in_child,
            size=processes,
            limits=WorkerLimits(timeout_s=_TIMEOUT_S, memory_bytes=_MEMORY_BYTES),
            recycle_after=_RECYCLE_AFTER,
            warm_up=_warm_up,
        )

    def start(self) -> None:
        self._pool.start()

    def close(self) -> None:
        self._pool.close()

    async def check(self) -> None:
        """Raise unless a child lives; for readiness."""
        if not self._pool.pids:
            raise TransientError("no probe process runs")

    async def probe(self, path: str, container: Container) -> AudioFacts:
        """Decode the start of the file, and measure the rest of one that declares too much.

        Raises:
            UploadRefusedError: `decode_failed`, `unsupported_format`, `too_short` or `too_long`.
        """
        try:
            facts: AudioFacts = await self._pool.run(ProbeJob(path, container, self._max_minutes))
        except WorkError as error:
            code = error.code if error.code in _REFUSALS else "decode_failed"
            raise UploadRefusedError(code, _REFUSALS[code], str(error)) from error
        except WorkerFailedError as error:
            message = f"The file cannot be decoded safely ({error}); export it again and upload the new file."
            raise UploadRefusedError("decode_failed", 422, message) from error
        return facts


def _warm_up() -> None:
    """Importing libav is the slow part of a probe."""
    importlib.import_module("k1_ingest.decoding")


def _probe_in_child(job: ProbeJob, _report: Callable[[Any], None]) -> AudioFacts:
    from k1_ingest.decoding import probe_file  # noqa: PLC0415  only children pay for libav

    return probe_file(job)
