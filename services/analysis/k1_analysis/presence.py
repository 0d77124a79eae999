"""Which workers there are: each pod keeps its slots in a bucket whose entries fade when it dies."""

import asyncio
import contextlib
import json
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NoKeysError, NotFoundError

from k1_analysis.engine import ENGINE
from k1_analysis.job_queue import JobQueue
from k1_analysis.worker import Worker
from k1_contracts import streams
from k1_contracts.messages.analysis import ListWorkers, WorkerList, WorkerSlot

_TELL_EVERY_S: Final = 1.0


class Presence:
    """Tells of this pod's slots, and answers who asks for all of them."""

    def __init__(self, jetstream: JetStreamContext, queue: JobQueue, worker: Worker, pod: str) -> None:
        self._jetstream = jetstream
        self._queue = queue
        self._worker = worker
        # A key may hold only some characters; a pod's name may hold others.
        self._key = pod.encode().hex()
        self._host = pod

    async def tell(self) -> None:
        """Keep this pod's entry fresh until cancelled, then take it away."""
        try:
            while True:
                with contextlib.suppress(NatsError, OSError, TimeoutError):
                    bucket = await self._jetstream.key_value(streams.WORKERS.name)
                    await bucket.put(self._key, self._entry())
                await asyncio.sleep(_TELL_EVERY_S)
        finally:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                bucket = await self._jetstream.key_value(streams.WORKERS.name)
                await bucket.delete(self._key)

    def _entry(self) -> bytes:
        slots = [
            WorkerSlot(id=slot.id, host=self._host, job_id=slot.job_id, since=slot.since, engine=ENGINE)
            for slot in self._worker.slots
        ]
        return json.dumps([slot.model_dump(mode="json") for slot in slots]).encode()

    async def list(self, _: ListWorkers) -> WorkerList:
        """Every pod's slots, and how many jobs wait."""
        bucket = await self._jetstream.key_value(streams.WORKERS.name)
        workers: list[WorkerSlot] = []
        with contextlib.suppress(NoKeysError):
            for key in await bucket.keys():
                # An entry may fade between the listing and the reading.
                with contextlib.suppress(NotFoundError):
                    entry = await bucket.get(key)
                    workers += [WorkerSlot.model_validate(item) for item in json.loads(entry.value or b"[]")]
        return WorkerList(
            active=sum(worker.job_id is not None for worker in workers),
            total=len(workers),
            queue_depth=await self._queue.depth(),
            workers=sorted(workers, key=lambda worker: worker.id),
        )
