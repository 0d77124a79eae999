"""What each device says of itself when it connects, kept."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faststream.nats import NatsMessage
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.devices import DeviceHello
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_platform.database import Pool

OnHello = Callable[[DeviceRow, DeviceHello], Awaitable[None]]
"""Told of each hello that was kept, after the commit, with the device as it is known now. It should only take
note: while it runs the hello is not acknowledged, and when it raises the hello comes again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Keeps hellos; the newest counts, whatever the order in which they come."""

    pool: Pool
    on_hello: OnHello

    async def hello(self, message: NatsMessage) -> None:
        """A device has connected.

        Raises:
            pydantic.ValidationError: it is malformed.
            PermanentError: its id is another's, or of a device that was never added or was revoked.
        """
        raw: Msg = message.raw_message
        device_id = subjects.original(raw.subject).split(".")[1]
        hello = DeviceHello.model_validate_json(raw.data)
        if hello.id != device_id:
            raise errors.foreign_hello(device_id, hello.id)
        async with self.pool.acquire() as connection, connection.transaction():
            device = await device_store.save_hello(connection, hello, raw.metadata.timestamp)
            if device is None:
                raise errors.hello_of_unknown(device_id)
            if device.revoked_at is not None:
                raise errors.hello_of_revoked(device_id)
        _log.info("hello", extra={"device_id": device_id, "firmware": hello.firmware})
        await self.on_hello(device, hello)
