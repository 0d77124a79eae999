"""Issues credentials, and pushes revocations from the database to the NATS server."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from nats.errors import Error as NatsError

from k1_contracts.messages.deploy.device_link import Transport
from k1_deploy.devices.access.credential_store import lock_revoked_keys
from k1_platform.auth.device_credentials import MintedCredential
from k1_platform.postgres.pool import Pool

_log = logging.getLogger(__name__)


class CredentialIssuer(Protocol):
    """The methods of NatsCredentialIssuer that are used here."""

    def mint(self, device_id: str, transport: Transport) -> MintedCredential: ...

    async def revoke(self, public_keys: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class CredentialService:
    """Credentials; the database decides which of them are revoked."""

    pool: Pool
    issuer: CredentialIssuer
    purge_sessions: Callable[[Collection[str]], Awaitable[object]]
    """Deletes the MQTT sessions of devices with these ids from the server."""

    async def push_revocations(self) -> None:
        """Send every credential that was ever revoked to the server, one process at a time.

        Raises:
            TransientError: the server did not respond; the database keeps the revocations: call again.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await self.issuer.revoke(await lock_revoked_keys(connection))

    async def revoke_access(self, device_ids: Collection[str]) -> None:
        """Push the revocations and delete the MQTT sessions of these devices.

        Raises:
            TransientError: the server did not respond; the database keeps the revocations: call again.
        """
        await self.push_revocations()
        try:
            await self.purge_sessions(device_ids)
        except (NatsError, TimeoutError) as error:
            _log.warning("MQTT sessions not purged, they end within a day", extra={"reason": repr(error)})
