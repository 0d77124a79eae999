"""Bundles over the link, part by part, for devices that cannot fetch them by HTTP."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from k1_contracts import subjects
from k1_contracts.messages.bundles import bundle_key
from k1_contracts.messages.device_link import ChunkHeader, FetchChunk
from k1_deploy.devices.device_store import get_devices
from k1_deploy.holding import Holdings
from k1_platform.database import TRANSIENT_ERRORS, Pool
from k1_platform.device_errors import DeviceErrors, Problem, read
from k1_platform.errors import TransientError
from k1_platform.objects import ObjectMissingError, ObjectStore

CACHE_BYTES: Final = 32 * 1024 * 1024
_log = logging.getLogger(__name__)


class ChunkRefusedError(Exception):
    """Why there are no bytes for this device; it reads the message."""


class BundleCache:
    """Whole bundles in memory, those that were asked for last; many who ask at once are one read of the store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._bundles: OrderedDict[str, bytes] = OrderedDict()
        self._reading: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, sha256: str) -> bytes:
        """Raises ObjectMissingError or TransientError as the store does."""
        known = self._bundles.get(sha256)
        if known is not None:
            self._bundles.move_to_end(sha256)
            return known
        reading = self._reading.get(sha256)
        if reading is None:
            reading = self._reading[sha256] = asyncio.create_task(self._read(sha256))
            reading.add_done_callback(lambda _: self._reading.pop(sha256))
        # Who gives up waiting does not end it for the others.
        return await asyncio.shield(reading)

    async def _read(self, sha256: str) -> bytes:
        data = self._bundles[sha256] = await self._objects.get_bytes(bundle_key(sha256))
        while len(self._bundles) > 1 and sum(map(len, self._bundles.values())) > CACHE_BYTES:
            self._bundles.popitem(last=False)
        return data


@dataclass(frozen=True, slots=True)
class Chunks:
    """Answers `device.<id>.fetch`."""

    pool: Pool
    client: Client
    bundles: BundleCache
    holdings: Holdings
    errors: DeviceErrors

    async def fetch(self, message: Msg) -> None:
        """Send a part of a bundle, or why not. What is no request at all gets an error."""
        device_id = message.subject.split(".")[1]
        request = read(FetchChunk, message.data)
        if isinstance(request, Problem):
            await self.errors.report(device_id, message.subject, lambda: request)
            return
        data, refusal = b"", None
        try:
            data = await self._chunk(device_id, request)
        except ChunkRefusedError as refused:
            refusal = str(refused)
            _log.debug("chunk refused", extra={"device_id": device_id, "reason": refusal})
        header = ChunkHeader(
            request_id=request.request_id,
            bundle_sha256=request.bundle_sha256,
            offset=request.offset,
            length=len(data),
            error=refusal,
        )
        await self.client.publish(_reply_subject(device_id, message.reply), header.to_json() + b"\n" + data)

    async def _chunk(self, device_id: str, request: FetchChunk) -> bytes:
        try:
            if not await self._may_have(device_id, request.bundle_sha256):
                raise ChunkRefusedError("This device was not told to stage this bundle.")
            bundle = await self.bundles.get(request.bundle_sha256)
        except ObjectMissingError as error:
            raise ChunkRefusedError("There is no such bundle in the store.") from error
        except (TransientError, OSError, TimeoutError, NatsError, *TRANSIENT_ERRORS) as error:
            raise ChunkRefusedError("The store does not answer; ask again in a moment.") from error
        if request.offset >= len(bundle):
            raise ChunkRefusedError(
                f"The bundle has {len(bundle)} bytes; there is nothing at {request.offset}."
            )
        return bundle[request.offset : request.offset + request.length]

    async def _may_have(self, device_id: str, sha256: str) -> bool:
        async with self.pool.acquire() as connection:
            device = (await get_devices(connection, [device_id])).get(device_id)
            if device is None or device.revoked_at is not None:
                return False
            if device.expected is not None and device.expected.bundle_sha256 == sha256:
                return True
            return await self.holdings.stages(connection, device_id, sha256)


def _reply_subject(device_id: str, reply: str) -> str:
    """The reply subject, if it is an inbox of this device.

    We may publish anywhere and the device may not, so it must not choose the subject: its own are an inbox
    under its id and its commands.
    """
    return reply if reply.startswith(f"_INBOX.{device_id}.") else subjects.command(device_id, "chunk")
