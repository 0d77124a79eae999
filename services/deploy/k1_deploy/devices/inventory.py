"""Consumes the hellos of devices and stores them."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faststream.nats import NatsMessage
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_platform.errors import PermanentError
from k1_platform.nats.device_errors import DeviceErrors, MessageError, parse_device_message
from k1_platform.postgres.pool import Pool

OnHello = Callable[[DeviceRow, DeviceHello], Awaitable[None]]
"""Called for each stored hello, after the commit, with the device as it is stored now. It should return quickly: while
it runs the hello is not acknowledged, and when it raises the hello is redelivered.
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Stores hellos; the newest counts, whatever the order of arrival."""

    pool: Pool
    errors: DeviceErrors
    on_hello: OnHello

    async def handle_hello(self, message: NatsMessage) -> None:
        """Store the hello of a device that has connected.

        A malformed hello, and one with the id of another device, are errors of the device: it gets an error message,
        and the hello is acknowledged. As dead letters they would let one device push out those of others.

        Raises:
            PermanentError: the device was never added, or was revoked.
        """
        raw: Msg = message.raw_message
        device_id = subjects.original(raw.subject).split(".")[1]
        subject = subjects.device(device_id, "hello")
        hello = parse_device_message(DeviceHello, raw.data)
        if isinstance(hello, MessageError):
            await self.errors.report(device_id, subject, lambda: hello)
            return
        if hello.id != device_id:
            await self.errors.report(device_id, subject, lambda: errors.wrong_device_id(device_id, hello.id))
            return
        try:
            await self._save(device_id, hello, raw)
        except PermanentError as error:
            problem = errors.hello_rejected(error)
            await self.errors.report(device_id, subject, lambda: problem)
            raise

    async def _save(self, device_id: str, hello: DeviceHello, raw: Msg) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            device = await device_store.save_hello(connection, hello, raw.metadata.timestamp)
            if device is None:
                raise errors.hello_of_unknown(device_id)
            if device.revoked_at is not None:
                raise errors.hello_of_revoked(device_id)
        _log.info("hello", extra={"device_id": device_id, "firmware": hello.firmware})
        await self.on_hello(device, hello)
