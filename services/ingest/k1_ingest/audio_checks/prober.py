"""Probes songs in child processes, because a hostile file may crash the decoder.

Only the child processes import libav, see `decode_probe`.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

from k1_ingest.audio_checks.audio_info import AudioInfo, ProbeJob
from k1_ingest.audio_checks.container_detection import Container
from k1_ingest.errors import UploadRejectedError
from k1_platform.errors import TransientError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkerLimits, WorkError

_TIMEOUT_S: Final = 30.0
"""A probe takes milliseconds. A good song must not be rejected because the machine is busy."""
_MEMORY_BYTES: Final = 512 * 1024 * 1024
_RECYCLE_AFTER: Final = 500
_REJECTION_STATUSES: Final = {
    "unsupported_format": 415,
    "decode_failed": 422,
    "too_short": 422,
    "too_long": 422,
}


class Prober:
    """Probes files in child processes that were started in advance."""

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
        """Start the child processes."""
        self._pool.start()

    def close(self) -> None:
        """End the child processes."""
        self._pool.close()

    async def check(self) -> None:
        """Raise unless a child process runs; for readiness."""
        if not self._pool.pids:
            raise TransientError("no probe process runs")

    async def probe(self, path: str, container: Container) -> AudioInfo:
        """Decode the start of the file and return its metadata. A file that declares too much is measured to its end.

        Raises:
            UploadRejectedError: `decode_failed`, `unsupported_format`, `too_short` or `too_long`.
        """
        try:
            info: AudioInfo = await self._pool.run(ProbeJob(path, container, self._max_minutes))
        except WorkError as error:
            code = error.code if error.code in _REJECTION_STATUSES else "decode_failed"
            raise UploadRejectedError(code, _REJECTION_STATUSES[code], str(error)) from error
        except WorkerFailedError as error:
            message = f"The file cannot be decoded safely ({error}); export it again and upload the new file."
            raise UploadRejectedError("decode_failed", 422, message) from error
        return info


def _warm_up() -> None:
    """Import libav, which takes longer than a probe."""
    importlib.import_module("k1_ingest.audio_checks.decode_probe")


def _probe_in_child(job: ProbeJob, _report: Callable[[Any], None]) -> AudioInfo:
    from k1_ingest.audio_checks.decode_probe import probe_file  # noqa: PLC0415  only the child processes load libav

    return probe_file(job)
