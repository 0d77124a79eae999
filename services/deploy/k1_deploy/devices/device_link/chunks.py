"""Serves chunks of bundles over the device link, to devices that cannot fetch bundles by HTTP."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from k1_contracts import subjects
from k1_contracts.messages.deploy.bundles import bundle_key
from k1_contracts.messages.deploy.device_link import ChunkHeader, FetchChunk
from k1_deploy.devices.deployment_lookup import DeploymentLookup
from k1_deploy.devices.device_store import get_devices
from k1_platform.errors import TransientError
from k1_platform.nats.device_errors import DeviceErrors, MessageError, parse_device_message
from k1_platform.postgres.pool import TRANSIENT_ERRORS, Pool
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

CACHE_BYTES: Final = 32 * 1024 * 1024
_log = logging.getLogger(__name__)


class ChunkRejectedError(Exception):
    """Why the device gets no bytes; the message is sent to the device."""


@dataclass(frozen=True, slots=True)
class BundleCache:
    """Keeps the last requested bundles in memory; concurrent requests for one bundle read the store once."""

    objects: ObjectStore
    _bundles: OrderedDict[str, bytes] = field(default_factory=OrderedDict[str, bytes])
    _reading: dict[str, asyncio.Task[bytes]] = field(default_factory=dict[str, asyncio.Task[bytes]])

    async def get(self, sha256: str) -> bytes:
        """Return a bundle.

        Raises:
            ObjectMissingError, TransientError: as the object store does.
        """
        known = self._bundles.get(sha256)
        if known is not None:
            self._bundles.move_to_end(sha256)
            return known
        reading = self._reading.get(sha256)
        if reading is None:
            reading = self._reading[sha256] = asyncio.create_task(self._read(sha256))
            reading.add_done_callback(lambda _: self._reading.pop(sha256))
        # A caller that stops waiting must not cancel the read for the others.
        return await asyncio.shield(reading)

    async def _read(self, sha256: str) -> bytes:
        data = self._bundles[sha256] = await self.objects.get_bytes(bundle_key(sha256))
        while len(self._bundles) > 1 and sum(map(len, self._bundles.values())) > CACHE_BYTES:
            self._bundles.popitem(last=False)
        return data


@dataclass(frozen=True, slots=True)
class ChunkServer:
    """Serves `device.<id>.fetch`."""

    pool: Pool
    client: Client
    bundles: BundleCache
    deployments: DeploymentLookup
    errors: DeviceErrors

    async def handle_request(self, message: Msg) -> None:
        """Send a chunk, or the reason why not. An invalid request gets an error."""
        device_id = message.subject.split(".")[1]
        request = parse_device_message(FetchChunk, message.data)
        if isinstance(request, MessageError):
            await self.errors.report(device_id, message.subject, lambda: request)
            return
        data, rejection = b"", None
        try:
            data = await self._chunk(device_id, request)
        except ChunkRejectedError as rejected:
            rejection = str(rejected)
            _log.debug("chunk rejected", extra={"device_id": device_id, "reason": rejection})
        header = ChunkHeader(
            request_id=request.request_id,
            bundle_sha256=request.bundle_sha256,
            offset=request.offset,
            length=len(data),
            error=rejection,
        )
        await self.client.publish(_reply_subject(device_id, message.reply), header.to_json() + b"\n" + data)

    async def _chunk(self, device_id: str, request: FetchChunk) -> bytes:
        try:
            if not await self._is_allowed(device_id, request.bundle_sha256):
                raise ChunkRejectedError("This device was not told to stage this bundle.")
            bundle = await self.bundles.get(request.bundle_sha256)
        except ObjectNotFoundError as error:
            raise ChunkRejectedError("There is no such bundle in the store.") from error
        except (TransientError, OSError, TimeoutError, NatsError, *TRANSIENT_ERRORS) as error:
            raise ChunkRejectedError("The store does not answer; ask again in a moment.") from error
        if request.offset >= len(bundle):
            raise ChunkRejectedError(
                f"The bundle has {len(bundle)} bytes; there is nothing at {request.offset}."
            )
        return bundle[request.offset : request.offset + request.length]

    async def _is_allowed(self, device_id: str, sha256: str) -> bool:
        async with self.pool.acquire() as connection:
            device = (await get_devices(connection, [device_id])).get(device_id)
            if device is None or device.revoked_at is not None:
                return False
            if device.expected is not None and device.expected.bundle_sha256 == sha256:
                return True
            return await self.deployments.is_staging(connection, device_id, sha256)


def _reply_subject(device_id: str, reply: str) -> str:
    """Return the reply subject, if it is an inbox of this device.

    This service may publish anywhere and the device may not, so the device must not choose the subject: it may use an
    inbox under its id; otherwise the chunk goes to its command subject.
    """
    return reply if reply.startswith(f"_INBOX.{device_id}.") else subjects.command(device_id, "chunk")
