"""Revocations on their way from the database to the bus."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from k1_contracts.devices import Transport
from k1_deploy.devices.credential_store import lock_revoked_keys
from k1_platform.database import Pool
from k1_platform.device_credentials import MintedCredential


class Credentials(Protocol):
    """As DeviceCredentials."""

    def mint(self, device_id: str, transport: Transport) -> MintedCredential: ...

    async def revoke(self, public_keys: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class CredentialKeeper:
    """Credentials, with the database's word for what is revoked."""

    pool: Pool
    credentials: Credentials

    async def push_revocations(self) -> None:
        """Let the bus know every credential that was ever revoked, one process at a time.

        Raises:
            TransientError: the bus did not answer; the database stands, so calling again completes it.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await self.credentials.revoke(await lock_revoked_keys(connection))
