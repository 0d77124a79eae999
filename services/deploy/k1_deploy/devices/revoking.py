"""Revocations on their way from the database to the bus."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from nats.errors import Error as NatsError

from k1_contracts.messages.device_link import Transport
from k1_deploy.devices.credential_store import lock_revoked_keys
from k1_platform.database import Pool
from k1_platform.device_credentials import MintedCredential

_log = logging.getLogger(__name__)


class Credentials(Protocol):
    """As DeviceCredentials."""

    def mint(self, device_id: str, transport: Transport) -> MintedCredential: ...

    async def revoke(self, public_keys: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class CredentialKeeper:
    """Credentials, with the database's word for what is revoked."""

    pool: Pool
    credentials: Credentials
    purge_sessions: Callable[[Collection[str]], Awaitable[object]]
    """Deletes what devices with these ids left in the server."""

    async def push_revocations(self) -> None:
        """Let the bus know every credential that was ever revoked, one process at a time.

        Raises:
            TransientError: the bus did not answer; the database stands, so calling again completes it.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await self.credentials.revoke(await lock_revoked_keys(connection))

    async def cut_off(self, device_ids: Collection[str]) -> None:
        """Let the bus know what is revoked, and delete the MQTT sessions of these devices.

        Raises:
            TransientError: the bus did not answer; the database stands, so calling again completes it.
        """
        await self.push_revocations()
        try:
            await self.purge_sessions(device_ids)
        except (NatsError, TimeoutError) as error:
            _log.warning("MQTT sessions not purged, they end within a day", extra={"reason": repr(error)})
