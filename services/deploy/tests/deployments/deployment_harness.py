"""The harness for whole deployments: fake devices, a fake catalogue, and an operator."""

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from faststream.nats import NatsBroker
from nats.aio.client import Client

from k1_contracts.durables import DEPLOY_DEVICES
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.graphs import KEY_LIST, KeySet, PublicKey
from k1_contracts.messages.catalogue.tracks import GENESIS_GET
from k1_contracts.messages.deploy.bundles import BUNDLE_INFO, BundleInfo, BundleRef, GetBundle
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    ControlDeployment,
    DeploymentView,
    GetDeployment,
)
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, RequestDeployment
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_contracts.messages.telemetry import DEVICE_ALARM, DeviceAlarm
from k1_contracts.rpc import Response, RpcError
from k1_deploy.devices import device_store
from k1_deploy.orchestration.storage import deployment_store
from k1_deploy.saga.entries import Intent, LogEntry, Outcome, truncate_to_ms
from k1_platform.nats.bus.client import broker_options
from k1_platform.nats.queries.rpc import QueryError, request
from k1_platform.nats.streams.publisher import publish
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.deployments.fake_devices import KEY_ID, FakeDevice
from tests.support.bus import connected_client, flush
from tests.support.waiting import PATIENCE_S, eventually

LEAD_S = 60.0
SIZE = 50_000


@dataclass
class DeploymentHarness:
    """Fake devices that run `old` and are to run `new`, with the operator's actions."""

    client: Client
    broker: NatsBroker
    pool: Pool
    objects: ObjectStore
    http: httpx.AsyncClient
    old: BundleInfo
    new: BundleInfo
    key_ids: list[str] = field(default_factory=lambda: [KEY_ID])
    """Of the keys that are valid, the newest first."""
    known: dict[tuple[str, int], BundleInfo] = field(default_factory=dict)
    devices: list[FakeDevice] = field(default_factory=list)
    downbeats_ms: list[float] | None = None
    """Of every song; None: the next downbeat is always `lead_s` ahead."""
    lead_s: float = LEAD_S
    """The time to arm the devices; a busy machine may need more than an activation "now" leaves."""
    song_began: datetime = field(default_factory=lambda: truncate_to_ms(datetime.now(UTC)))

    async def add_devices(self, count: int, *, connect: bool = True) -> list[FakeDevice]:
        name = os.urandom(4).hex()
        ids = [f"{name}-{number:04d}" for number in range(count)]
        async with self.pool.acquire() as connection:
            await device_store.upsert_devices(connection, ids, "nats", None, datetime.now(UTC))
        added = [FakeDevice(self.client, self.http, device_id, running(self.old)) for device_id in ids]
        self.devices += added
        if connect:
            await asyncio.gather(*(device.connect() for device in added))
            await eventually(lambda: self._hellos_are_stored(ids), "every hello was kept")
        return added

    async def until_hellos_are_done(self) -> None:
        """Wait until all hellos are handled and the service has queried the catalogue for keys."""
        durable, jetstream = DEPLOY_DEVICES, self.client.jetstream(timeout=PATIENCE_S)

        async def handled() -> bool:
            info = await jetstream.consumer_info(durable.stream, durable.name)
            return info.num_pending == 0 and info.num_ack_pending == 0

        await eventually(handled, "every hello was handled")
        with suppress(QueryError):  # there is none; what the service asked before it answers has come by then
            await self.get(new_id("dep"))
        await flush(self.client)

    async def _hellos_are_stored(self, ids: Sequence[str]) -> bool:
        async with self.pool.acquire() as connection:
            rows = await device_store.get_devices(connection, ids)
        return all(row.expected_known for row in rows.values())

    async def order(self, devices: Sequence[FakeDevice], **changes: Any) -> str:
        deployment_id = new_id("dep")
        body = RequestDeployment.model_validate(
            {
                "deployment_id": deployment_id,
                "track_id": self.new.bundle.track_id,
                "version": self.new.bundle.version,
                "device_ids": [device.id for device in devices],
                "strategy": {"observe_seconds": 0.3},
                "activation": self.on_the_next_downbeat(),
                "requested_at": datetime.now(UTC),
                "requested_by": "anna",
                **changes,
            }
        )
        await publish(self.broker, DEPLOY_REQUESTED, body, source="test")
        return deployment_id

    def on_the_next_downbeat(self) -> dict[str, Any]:
        """Return an activation on a downbeat of the song that plays."""
        song = self.old.bundle
        began = {"track_id": song.track_id, "version": song.version, "started_at": self.song_began}
        return {"when": "downbeat", **began}

    async def get(self, deployment_id: str) -> DeploymentView:
        query = GetDeployment(deployment_id=deployment_id)
        return await request(self.broker, DEPLOYMENT_GET, query, timeout_s=PATIENCE_S)

    async def control(self, deployment_id: str, action: str) -> DeploymentView:
        query = ControlDeployment.model_validate(
            {"deployment_id": deployment_id, "action": action, "requested_by": "anna"}
        )
        return await request(self.broker, DEPLOYMENT_CONTROL, query, timeout_s=PATIENCE_S)

    async def status(self, deployment_id: str) -> str | None:
        return await self.pool.fetchval("SELECT status FROM deploy.deployments WHERE id = $1", deployment_id)

    async def until_status(self, deployment_id: str, *statuses: str) -> DeploymentView:
        async def reached() -> bool:
            return await self.status(deployment_id) in statuses

        try:
            await eventually(reached, f"{deployment_id} becomes {statuses}")
        except AssertionError as error:
            if await self.status(deployment_id) is None:
                raise
            raise AssertionError((await self.get(deployment_id)).model_dump_json(indent=1)) from error
        return await self.get(deployment_id)

    async def until_counts(self, deployment_id: str, **counts: int) -> DeploymentView:
        """Wait until each outcome has this number of devices."""

        async def reached() -> DeploymentView | None:
            if await self.status(deployment_id) is None:  # it was not opened yet
                return None
            view = await self.get(deployment_id)
            return view if view.counts == counts else None

        return await eventually(reached, f"{deployment_id} has {counts}")

    async def until_paused(self, deployment_id: str, *, paused: bool) -> None:
        """Wait until a control was handled."""

        async def reached() -> bool:
            return (await self.get(deployment_id)).paused is paused

        await eventually(reached, f"{deployment_id} has paused: {paused}")

    async def moments(self, deployment_id: str) -> list[datetime]:
        """Return the planned moment of each activation that was begun."""
        entries = await self._log(deployment_id)
        intents = [entry for entry in entries if isinstance(entry, Intent) and entry.step == "activate"]
        return [each.planned_for for each in intents if each.planned_for]

    async def errors_ms(self, deployment_id: str) -> list[float | None]:
        """Return the measured error of each activation."""
        entries = await self._log(deployment_id)
        return [each.error_ms for each in entries if isinstance(each, Outcome) and each.step == "activate"]

    async def _log(self, deployment_id: str) -> Sequence[LogEntry]:
        async with self.pool.acquire() as connection:
            found = await deployment_store.load_deployment(connection, deployment_id)
        assert found is not None
        return found[1]

    async def alarm(self, device: FakeDevice, kind: str = "drift", **changes: Any) -> None:
        """Publish an alarm later than the last activation, even if a busy machine measured clocks badly."""
        now = datetime.now(UTC) + timedelta(minutes=1)
        body = DeviceAlarm.model_validate(
            {
                "device_id": device.id,
                "kind": kind,
                "level": "alarm",
                "state": "raised",
                "reason": "drift_ms > 100 for 5s",
                "since": now,
                "at": now,
                **changes,
            }
        )
        await publish(self.broker, DEVICE_ALARM, body, source="test", key=f"{device.id}/{now}")

    async def expected(self, device: FakeDevice) -> str | None:
        async with self.pool.acquire() as connection:
            row = (await device_store.get_devices(connection, [device.id]))[device.id]
        return row.expected.bundle_sha256 if row.expected else None

    def all_run(self, devices: Sequence[FakeDevice], info: BundleInfo) -> bool:
        return all(device.runs(info.bundle.sha256) for device in devices)

    async def respond_bundle(self, body: bytes) -> bytes:
        query = GetBundle.model_validate_json(body)
        info = self.known.get((query.track_id, query.version))
        if info is None:
            error = RpcError(
                code="track_not_found", message=f"There is no track {query.track_id}.", status=404
            )
            return Response[BundleInfo](error=error).model_dump_json().encode()
        return Response[BundleInfo](result=info).model_dump_json(exclude_none=True).encode()

    def list_downbeats(self) -> list[float]:
        if self.downbeats_ms is not None:
            return self.downbeats_ms
        played = datetime.now(UTC) - self.song_began
        return [(played.total_seconds() + self.lead_s) * 1000]

    def list_keys(self) -> bytes:
        keys = [PublicKey(kid=kid, x="x") for kid in self.key_ids]
        document = json.dumps({"keys": [{"kid": kid} for kid in self.key_ids]})
        keyset = KeySet(keys=keys, document=document, signatures=dict.fromkeys(self.key_ids, "aa"))
        return Response[KeySet](result=keyset).model_dump_json(exclude_none=True).encode()


def running(info: BundleInfo) -> RunningBundle:
    ref = info.bundle
    return RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)


async def store_bundle(objects: ObjectStore) -> BundleInfo:
    """Store a bundle of random bytes; return its description in the catalogue."""
    data = os.urandom(SIZE)
    sha256 = hashlib.sha256(data).hexdigest()
    ref = BundleRef(sha256=sha256, size=len(data), track_id=new_id("trk"), version=1)
    key = f"bundles/{sha256}/bundle.k1b"
    await objects.put_bytes(key, data, "application/cbor")
    return bundle_info().model_copy(update={"bundle": ref, "key": key})


@asynccontextmanager
async def open_harness() -> AsyncIterator[DeploymentHarness]:
    objects = ObjectStore(ObjectStoreSettings())
    async with (
        NatsBroker(**broker_options(NatsSettings()), logger=None) as broker,
        await open_pool(PostgresSettings(), "test") as pool,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=64), timeout=PATIENCE_S) as http,
        connected_client() as client,
    ):
        harness = DeploymentHarness(
            client, broker, pool, objects, http, await store_bundle(objects), await store_bundle(objects)
        )
        for info in (harness.old, harness.new):
            harness.known[info.bundle.track_id, info.bundle.version] = info

        async def respond(message: Any) -> None:
            await message.respond(await harness.respond_bundle(message.data))

        async def respond_keys(message: Any) -> None:
            await message.respond(harness.list_keys())

        async def respond_map(message: Any) -> None:
            found = {"layers": {"rhythm": {"downbeat_ms": harness.list_downbeats()}}}
            headers = {"k1-status": "200", "k1-etag": "map", "content-encoding": "gzip"}
            await client.publish(message.reply, gzip.compress(json.dumps(found).encode()), headers=headers)

        await client.subscribe(BUNDLE_INFO.subject, "catalogue", cb=respond)
        await client.subscribe(KEY_LIST.subject, "catalogue", cb=respond_keys)
        await client.subscribe(GENESIS_GET.subject, "catalogue", cb=respond_map)
        await flush(client)
        try:
            yield harness
        finally:
            for device in harness.devices:
                await device.close()
            objects.close()
