"""Responds to queries about devices: what they are and run; adds and revokes devices."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.devices import (
    AddDevices,
    DevicePage,
    DevicesAdded,
    DeviceServers,
    DevicesRevoked,
    DeviceView,
    GetDevice,
    ListDevices,
    RevokeDevices,
)
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_contracts.tracks import Notice
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.devices.access import credential_store
from k1_deploy.devices.access.credential_service import CredentialService
from k1_deploy.devices.deployment_lookup import DeploymentLookup
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.presence_cache import PresenceCache
from k1_platform.auth.device_credentials import MintedCredential
from k1_platform.cursors import cursor_after, row_before
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread

_WALK: Final = "devices"


def no_alarms(_: str) -> list[DeviceAlarm]:
    """Return no alarms: without keys the use of credentials is not monitored."""
    return []


@dataclass(frozen=True, slots=True)
class DeviceQueries:
    """Responds from the tables and from presence."""

    pool: Pool
    presence: PresenceCache
    deployments: DeploymentLookup
    credentials: CredentialService | None
    """None: no keys are configured, so no credentials can be issued."""
    trusted_keys: Callable[[], Awaitable[KeySet]]
    clock: Callable[[], datetime]
    servers: DeviceServers
    """The servers that devices connect to."""
    credential_alarms: Callable[[str], list[DeviceAlarm]] = no_alarms
    """Returns the alarms about the credential of a device."""

    async def list_devices(self, query: ListDevices) -> DevicePage:
        """Return a page of devices."""
        after = row_before(query.cursor, _WALK, by_time=False)
        async with self.pool.acquire() as connection:
            total, rows = await device_store.list_devices(
                connection,
                group=query.group,
                include_revoked=query.include_revoked,
                limit=query.limit + 1,
                offset=query.offset,
                after_id=after and after.id,
            )
            page = rows[: query.limit]
            holders = await self.deployments.find_holders(connection, [row.id for row in page])
        next_cursor = cursor_after(_WALK, page[-1].id) if len(rows) > len(page) else None
        items = [self._view(row, holders) for row in page]
        return DevicePage(total=total, items=items, next_cursor=next_cursor)

    async def get_device(self, query: GetDevice) -> DeviceView:
        """Return one device."""
        async with self.pool.acquire() as connection:
            rows = await device_store.get_devices(connection, [query.device_id])
            holders = await self.deployments.find_holders(connection, [query.device_id])
        if not rows:
            raise errors.devices_not_found([query.device_id])
        return self._view(rows[query.device_id], holders)

    async def add_devices(self, query: AddDevices) -> DevicesAdded:
        """Add devices and issue their credentials. The secrets are in the response and are not stored."""
        service, ids = self._require_service(), list(dict.fromkeys(query.device_ids))
        keys = await self.trusted_keys()
        minted = await in_thread(
            lambda: [service.issuer.mint(device_id, query.transport) for device_id in ids]
        )
        async with self.pool.acquire() as connection, connection.transaction():
            await self._add(connection, query, ids, minted)
        if query.renew:
            await service.revoke_access(ids)
        document = keys.document or keys.model_dump_json(include={"keys"})
        credentials = [each.credential for each in minted]
        return DevicesAdded(credentials=credentials, trusted_keys=document, servers=self.servers)

    async def revoke_devices(self, query: RevokeDevices) -> DevicesRevoked:
        """Revoke the credentials of devices and disconnect them. A repeated call changes nothing."""
        service, ids, at = (
            self._require_service(),
            list(dict.fromkeys(query.device_ids)),
            self.clock(),
        )
        async with self.pool.acquire() as connection, connection.transaction():
            known = await device_store.get_devices(connection, ids)
            missing = [device_id for device_id in ids if device_id not in known]
            if missing:
                raise errors.devices_not_found(missing)
            await device_store.set_revoked(connection, ids, at)
            await credential_store.revoke_credentials(connection, ids, at)
            await device_store.write_audit(connection, ids, at=at, action="revoked")
        await service.revoke_access(ids)
        return DevicesRevoked(device_ids=ids)

    async def _add(
        self,
        connection: Connection,
        query: AddDevices,
        ids: Sequence[str],
        minted: Iterable[MintedCredential],
    ) -> None:
        at = self.clock()
        if query.renew:
            await credential_store.revoke_credentials(connection, ids, at)
            await device_store.upsert_devices(connection, ids, query.transport, query.group, at)
        else:
            added = await device_store.insert_devices(connection, ids, query.transport, query.group, at)
            if len(added) < len(ids):
                raise errors.devices_exist([device_id for device_id in ids if device_id not in added])
        public_keys = {each.credential.device_id: each.public_key for each in minted}
        await credential_store.insert_credentials(connection, public_keys, at)
        action = "renewed" if query.renew else "added"
        await device_store.write_audit(connection, ids, at=at, action=action, detail=query.transport)

    def _require_service(self) -> CredentialService:
        if self.credentials is None:
            raise errors.credentials_unavailable()
        return self.credentials

    def _view(self, row: DeviceRow, holders: Mapping[str, str]) -> DeviceView:
        hello, held_by = row.hello, holders.get(row.id)
        reported = (
            hello.model_dump(
                include={"model", "firmware", "hardware", "node_types", "flash_free_bytes", "staged"}
            )
            if hello
            else {}
        )
        return DeviceView.model_validate(
            {
                **reported,
                "id": row.id,
                "transport": row.transport,
                "group": row.group,
                "online": row.revoked_at is None and self.presence.is_online(row.id),
                "last_seen": self.presence.last_seen(row.id) or row.hello_at,
                "running": row.running,
                "expected": row.expected,
                "healing": row.differs and held_by is None,
                "deployment_id": held_by,
                "last_deployment_id": row.last_deployment_id,
                "alarms": [
                    Notice(code=f"{alarm.kind}_{alarm.level}", message=alarm.reason)
                    for alarm in [*self.presence.alarms(row.id), *self.credential_alarms(row.id)]
                ],
                "added_at": row.added_at,
                "revoked_at": row.revoked_at,
            }
        )
