"""Subscribes to `device.*.fetch` with a limit for each device, so that one device cannot block the others."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts.messages.deploy.device_link import DEVICE_FETCH
from k1_deploy.devices.device_link.chunks import ChunkServer
from k1_platform.nats.device_errors import DeviceErrors, MessageError
from k1_platform.nats.queries.rpc import REQUEST_TIMEOUT_S
from k1_platform.processes.tasks import contain_exits

MAX_WAITING: Final = 8
"""Requests of one device that may wait for their replies; a device that follows the protocol has one."""
_QUEUE: Final = "deploy"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ChunkRequests:
    """Serves several requests at a time, and a few of each device; further ones are rejected.

    Rejecting must cost little: it happens before the body is read, and in the order of arrival.
    """

    client: Client
    chunks: ChunkServer
    errors: DeviceErrors
    workers: asyncio.Semaphore
    _waiting: Counter[str] = field(default_factory=Counter[str])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def start(self) -> None:
        """Subscribe for as long as the connection lives; each request goes to one process."""
        await self.client.subscribe(DEVICE_FETCH.pattern, queue=_QUEUE, cb=self._accept)

    async def _accept(self, message: Msg) -> None:
        device_id = message.subject.split(".")[1]
        if self._waiting[device_id] >= MAX_WAITING:
            text = (
                f"More than {MAX_WAITING} requests wait for their answers. Ask for one chunk after the other."
            )
            await self.errors.report(device_id, message.subject, lambda: MessageError("too_many", text))
            return
        self._waiting[device_id] += 1
        task = asyncio.create_task(self._respond(device_id, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _respond(self, device_id: str, message: Msg) -> None:
        try:
            async with self.workers, asyncio.timeout(REQUEST_TIMEOUT_S):  # a worker must not wait forever
                await contain_exits(self.chunks.handle_request(message))
        except Exception as error:  # noqa: BLE001  the device asks again
            _log.warning("chunk not sent", extra={"device_id": device_id, "reason": repr(error)})
        finally:
            self._waiting[device_id] -= 1
            if not self._waiting[device_id]:
                del self._waiting[device_id]
