"""Lists the workers: each pod keeps its slots in a bucket whose entries expire when the pod dies."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NoKeysError, NotFoundError

from k1_analysis.engine import ENGINE
from k1_analysis.jobs.queue import JobQueue
from k1_analysis.jobs.worker import Worker
from k1_contracts import streams
from k1_contracts.messages.analysis import ListWorkers, WorkerList, WorkerSlot

_REFRESH_INTERVAL_S: Final = 1.0


@dataclass(frozen=True)
class WorkerRegistry:
    """Registers this pod's slots, and lists the slots of all pods."""

    jetstream: JetStreamContext
    queue: JobQueue
    worker: Worker
    pod: str

    async def keep_registered(self) -> None:
        """Refresh this pod's entry until cancelled, then remove it."""
        key = self.pod.encode().hex()  # A pod's name may hold characters that a key must not hold.
        try:
            while True:
                with contextlib.suppress(NatsError, OSError, TimeoutError):
                    bucket = await self.jetstream.key_value(streams.WORKERS.name)
                    await bucket.put(key, self._entry())
                await asyncio.sleep(_REFRESH_INTERVAL_S)
        finally:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                bucket = await self.jetstream.key_value(streams.WORKERS.name)
                await bucket.delete(key)

    def _entry(self) -> bytes:
        slots = [
            WorkerSlot(id=slot.id, host=self.pod, job_id=slot.job_id, since=slot.since, engine=ENGINE)
            for slot in self.worker.slots
        ]
        return json.dumps([slot.model_dump(mode="json") for slot in slots]).encode()

    async def list_workers(self, _: ListWorkers) -> WorkerList:
        """Return the slots of every pod and the number of waiting jobs."""
        bucket = await self.jetstream.key_value(streams.WORKERS.name)
        workers: list[WorkerSlot] = []
        with contextlib.suppress(NoKeysError):
            for key in await bucket.keys():
                # An entry may expire between the listing and the reading.
                with contextlib.suppress(NotFoundError):
                    entry = await bucket.get(key)
                    workers += [WorkerSlot.model_validate(item) for item in json.loads(entry.value or b"[]")]
        return WorkerList(
            active=sum(worker.job_id is not None for worker in workers),
            total=len(workers),
            queue_depth=await self.queue.depth(),
            workers=sorted(workers, key=lambda worker: worker.id),
        )
