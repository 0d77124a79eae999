"""Answers about devices: what they are, adding and revoking them, and who could run a bundle."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from k1_contracts.messages.bundles import BundleInfo, BundleView, Compatibility, GetBundle
from k1_contracts.messages.devices import (
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
from k1_contracts.messages.graphs import KeySet
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_contracts.tracks import Notice
from k1_deploy import errors
from k1_deploy.devices import credential_store, device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.presence import PresenceTable
from k1_deploy.devices.revoking import CredentialKeeper
from k1_deploy.gates import compatibility, device_checks
from k1_deploy.holding import Holdings
from k1_platform.database import Connection, Pool
from k1_platform.device_credentials import MintedCredential
from k1_platform.threads import in_thread

OPERATOR = "operator"


def no_alarms(_: str) -> list[DeviceAlarm]:
    """There are no keys to watch the use of credentials with."""
    return []


@dataclass(frozen=True, slots=True)
class DeviceQuestions:
    """Answers from the tables, with presence."""

    pool: Pool
    presence: PresenceTable
    holdings: Holdings
    keeper: CredentialKeeper | None
    """None: there are no keys to make credentials with."""
    get_bundle: Callable[[GetBundle], Awaitable[BundleInfo]]
    trusted_keys: Callable[[], Awaitable[KeySet]]
    clock: Callable[[], datetime]
    servers: DeviceServers
    """Where devices connect."""
    credential_alarms: Callable[[str], list[DeviceAlarm]] = no_alarms
    """What is raised for the use of a device's credential."""

    async def list_devices(self, question: ListDevices) -> DevicePage:
        """A page of devices."""
        async with self.pool.acquire() as connection:
            total, rows = await device_store.list_devices(
                connection,
                group=question.group,
                include_revoked=question.include_revoked,
                limit=question.limit,
                offset=question.offset,
            )
            holders = await self.holdings.holders(connection, [row.id for row in rows])
        return DevicePage(total=total, items=[self._view(row, holders) for row in rows])

    async def get_device(self, question: GetDevice) -> DeviceView:
        """One device."""
        async with self.pool.acquire() as connection:
            rows = await device_store.get_devices(connection, [question.device_id])
            holders = await self.holdings.holders(connection, [question.device_id])
        if not rows:
            raise errors.devices_not_found([question.device_id])
        return self._view(rows[question.device_id], holders)

    async def get_bundle_view(self, question: GetBundle) -> BundleView:
        """A bundle, its cost, and for each device whether it could run it."""
        info = await self.get_bundle(question)
        async with self.pool.acquire() as connection:
            _, rows = await device_store.list_devices(connection)
        return BundleView(
            manifest=info.manifest,
            runtime_estimate=info.runtime_estimate,
            bundle=info.bundle,
            compatibility=[self._compatibility(row, info) for row in rows],
        )

    async def add_devices(self, question: AddDevices) -> DevicesAdded:
        """Provision devices. Their secrets are told here and kept nowhere."""
        keeper, ids = self._require_keeper(), list(dict.fromkeys(question.device_ids))
        keys = await self.trusted_keys()
        minted = await in_thread(
            lambda: [keeper.credentials.mint(device_id, question.transport) for device_id in ids]
        )
        async with self.pool.acquire() as connection, connection.transaction():
            await self._add(connection, question, ids, minted)
        if question.renew:
            await keeper.cut_off(ids)
        document = keys.document or keys.model_dump_json(include={"keys"})
        credentials = [each.credential for each in minted]
        return DevicesAdded(credentials=credentials, trusted_keys=document, servers=self.servers)

    async def revoke_devices(self, question: RevokeDevices) -> DevicesRevoked:
        """Let devices connect no more; those that are connected are cut off. Again changes nothing."""
        keeper, ids, at = self._require_keeper(), list(dict.fromkeys(question.device_ids)), self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            known = await device_store.get_devices(connection, ids)
            missing = [device_id for device_id in ids if device_id not in known]
            if missing:
                raise errors.devices_not_found(missing)
            await device_store.set_revoked(connection, ids, at)
            await credential_store.revoke_credentials(connection, ids, at)
            await device_store.write_audit(connection, ids, at=at, actor=OPERATOR, action="revoked")
        await keeper.cut_off(ids)
        return DevicesRevoked(device_ids=ids)

    async def _add(
        self,
        connection: Connection,
        question: AddDevices,
        ids: Sequence[str],
        minted: Iterable[MintedCredential],
    ) -> None:
        at = self.clock()
        if question.renew:
            await credential_store.revoke_credentials(connection, ids, at)
            await device_store.upsert_devices(connection, ids, question.transport, question.group, at)
        else:
            added = await device_store.insert_devices(connection, ids, question.transport, question.group, at)
            if len(added) < len(ids):
                raise errors.devices_exist([device_id for device_id in ids if device_id not in added])
        public_keys = {each.credential.device_id: each.public_key for each in minted}
        await credential_store.insert_credentials(connection, public_keys, at)
        action = "renewed" if question.renew else "added"
        await device_store.write_audit(
            connection, ids, at=at, actor=OPERATOR, action=action, detail=question.transport
        )

    def _require_keeper(self) -> CredentialKeeper:
        if self.keeper is None:
            raise errors.no_keys()
        return self.keeper

    def _compatibility(self, row: DeviceRow, info: BundleInfo) -> Compatibility:
        status, reason = compatibility(device_checks(row, self.presence.is_online(row.id), info, []))
        firmware = row.hello.firmware if row.hello else None
        return Compatibility(device_id=row.id, firmware=firmware, status=status, reason=reason)

    def _view(self, row: DeviceRow, holders: Mapping[str, str]) -> DeviceView:
        hello, held_by = row.hello, holders.get(row.id)
        said = (
            hello.model_dump(
                include={"model", "firmware", "hardware", "node_types", "flash_free_bytes", "staged"}
            )
            if hello
            else {}
        )
        return DeviceView.model_validate(
            {
                **said,
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
