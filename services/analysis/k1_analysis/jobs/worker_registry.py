"""Lists the workers: each pod keeps its slots in a bucket whose entries expire when the pod dies."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Self

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NoKeysError, NotFoundError

from k1_analysis.engine import ENGINE
from k1_analysis.jobs.queue import JobQueue
from k1_analysis.jobs.worker import Worker
from k1_contracts import streams
from k1_contracts.base import Contract
from k1_contracts.messages.analysis import ListWorkers, WorkerList, WorkerSlot

_REFRESH_INTERVAL_S: Final = 1.0


class _Entry(Contract):
    """What one pod writes into the bucket."""

    slots: list[WorkerSlot]
    waits_s: list[float]

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Read an entry; a pod of the release before writes its slots alone."""
        content = json.loads(text)
        return cls.model_validate({"slots": content, "waits_s": []} if isinstance(content, list) else content)


@dataclass(frozen=True)
class WorkerRegistry:
    """Registers the slots of a pod, and lists the slots of all pods."""

    jetstream: JetStreamContext
    queue: JobQueue

    async def keep_registered(self, worker: Worker, pod: str) -> None:
        """Refresh the entry of the pod until cancelled, then remove it."""
        key = pod.encode().hex()  # A pod's name may hold characters that a key must not hold.
        try:
            while True:
                with contextlib.suppress(NatsError, OSError, TimeoutError):
                    bucket = await self.jetstream.key_value(streams.WORKERS.name)
                    await bucket.put(key, _entry(worker, pod))
                await asyncio.sleep(_REFRESH_INTERVAL_S)
        finally:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                bucket = await self.jetstream.key_value(streams.WORKERS.name)
                await bucket.delete(key)

    async def list_workers(self, _: ListWorkers) -> WorkerList:
        """Return the slots of every pod and the number of waiting jobs."""
        bucket = await self.jetstream.key_value(streams.WORKERS.name)
        workers: list[WorkerSlot] = []
        waits_s: list[float] = []
        with contextlib.suppress(NoKeysError):
            for key in await bucket.keys():
                # An entry may expire between the listing and the reading.
                with contextlib.suppress(NotFoundError):
                    entry = _Entry.of((await bucket.get(key)).value or b"[]")
                    workers += entry.slots
                    waits_s += entry.waits_s
        return WorkerList(
            active=sum(worker.job_id is not None for worker in workers),
            total=len(workers),
            queue_depth=await self.queue.depth(),
            average_wait_s=round(fmean(waits_s), 3) if waits_s else None,
            workers=sorted(workers, key=lambda worker: worker.id),
        )


def _entry(worker: Worker, pod: str) -> bytes:
    slots = [
        WorkerSlot(id=slot.id, host=pod, job_id=slot.job_id, since=slot.since, engine=ENGINE)
        for slot in worker.slots
    ]
    return _Entry(slots=slots, waits_s=list(worker.waits_s)).model_dump_json().encode()
