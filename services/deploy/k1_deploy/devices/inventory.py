"""What each device says of itself when it connects, kept."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faststream.nats import NatsMessage
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.device_link import DeviceHello
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_platform.database import Pool
from k1_platform.device_errors import DeviceErrors, Problem, read
from k1_platform.errors import PermanentError

OnHello = Callable[[DeviceRow, DeviceHello], Awaitable[None]]
"""Told of each hello that was kept, after the commit, with the device as it is known now. It should only take
note: while it runs the hello is not acknowledged, and when it raises the hello comes again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Keeps hellos; the newest counts, whatever the order in which they come."""

    pool: Pool
    errors: DeviceErrors
    on_hello: OnHello

    async def hello(self, message: NatsMessage) -> None:
        """Keep the hello of a device that has connected.

        A malformed hello and one with the id of another device are the device's own fault: it gets an error, and the
        message is done with. As dead letters they would let one device push out those of others.

        Raises:
            PermanentError: the device was never added or was revoked.
        """
        raw: Msg = message.raw_message
        device_id = subjects.original(raw.subject).split(".")[1]
        subject = subjects.device(device_id, "hello")
        hello = read(DeviceHello, raw.data)
        if isinstance(hello, Problem):
            await self.errors.report(device_id, subject, lambda: hello)
            return
        if hello.id != device_id:
            await self.errors.report(device_id, subject, lambda: errors.foreign_id(device_id, hello.id))
            return
        try:
            await self._keep(device_id, hello, raw)
        except PermanentError as error:
            problem = errors.hello_refused(error)
            await self.errors.report(device_id, subject, lambda: problem)
            raise

    async def _keep(self, device_id: str, hello: DeviceHello, raw: Msg) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            device = await device_store.save_hello(connection, hello, raw.metadata.timestamp)
            if device is None:
                raise errors.hello_of_unknown(device_id)
            if device.revoked_at is not None:
                raise errors.hello_of_revoked(device_id)
        _log.info("hello", extra={"device_id": device_id, "firmware": hello.firmware})
        await self.on_hello(device, hello)
