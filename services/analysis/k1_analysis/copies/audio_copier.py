"""Makes small copies of songs on request: fetches the song, has it encoded in a worker process, stores the copy."""

import asyncio
import logging
import tempfile
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from k1_analysis.copies.opus import CopyTask, EncodedCopy
from k1_contracts.messages.catalogue.media import OPUS_TYPE, AudioCopied, CopyAudio
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkError
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioCopier:
    """Responds to CopyAudio. One song at a time: the pool also serves people who edit beats and graphs."""

    objects: ObjectStore
    pool: WorkerPool
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def copy(self, query: CopyAudio) -> AudioCopied:
        """Store the copy beside the song and return where it lies; a repeated request stores the same bytes.

        Raises:
            QueryError: the song is missing or cannot be read, or the encoder failed.
            TransientError: the object store failed.
        """
        async with self._one:
            with tempfile.TemporaryDirectory(prefix="k1-copy-") as folder:
                scratch = Path(folder)
                source, target = scratch / f"source{Path(query.audio.key).suffix}", scratch / "copy.opus"
                try:
                    await self.objects.get_file(query.audio.key, source)
                except ObjectNotFoundError as error:
                    message = "The song is no longer in the object store; upload it again."
                    raise QueryError("object_missing", message, HTTPStatus.NOT_FOUND) from error
                made = await self._encode(CopyTask(source, target))
                key = f"audio/{query.track_id}/copy.opus"
                await self.objects.put_bytes(key, target.read_bytes(), OPUS_TYPE)
        return AudioCopied(key=key, size_bytes=made.size_bytes, sha256=made.sha256)

    async def _encode(self, task: CopyTask) -> EncodedCopy:
        try:
            return await self.pool.run(task)
        except WorkError as error:
            _log.exception("a song was not copied", extra={"trace": error.trace})
            message = f"The song cannot be copied: {error}. Use the original."
            raise QueryError("audio_copy_failed", message, HTTPStatus.UNPROCESSABLE_ENTITY) from error
        except WorkerFailedError as error:
            message = f"The copy was not finished: {error}. Use the original, or try again."
            raise QueryError("audio_copy_failed", message, HTTPStatus.SERVICE_UNAVAILABLE) from error
