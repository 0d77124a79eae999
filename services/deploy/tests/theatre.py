"""A stage of devices, a catalogue that knows some bundles, and an operator: everything around the service."""

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import nats
from faststream.nats import NatsBroker
from nats.aio.client import Client

from k1_contracts import streams, subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.bundles import BundleInfo, BundleRef, GetBundle
from k1_contracts.messages.deployment_queries import ControlDeployment, DeploymentView, GetDeployment
from k1_contracts.messages.deployments import RequestDeployment
from k1_contracts.messages.device_link import RunningBundle
from k1_contracts.messages.graphs import KeySet, PublicKey
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_contracts.rpc import Answer, RpcError
from k1_deploy import store
from k1_deploy.devices import device_store
from k1_deploy.saga.entries import Intent, LogEntry, Outcome, logged
from k1_platform.broker import broker_options, make_event, publish_event
from k1_platform.database import Pool, open_pool
from k1_platform.nats_connection import connect_options
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError, ask
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.links import settle
from services.deploy.tests.stage_devices import KEY_ID, StageDevice

PATIENCE_S = 180.0
"""Only ends a hung test: a device that could not be put right is left alone for half a minute, say."""
LEAD_S = 60.0
SIZE = 50_000


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    seen: Any = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := await condition()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {what}; last seen: {seen!r}") from None
    return seen


@dataclass
class Theatre:
    """Devices run `old` and are to run `new`."""

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
    devices: list[StageDevice] = field(default_factory=list)
    downbeats_ms: list[float] | None = None
    """Of every song that the catalogue is asked for; None: the next one is always `lead_s` ahead."""
    lead_s: float = LEAD_S
    """How much time there is to arm the devices; a busy machine may take all that a plain `now` leaves."""
    song_began: datetime = field(default_factory=lambda: logged(datetime.now(UTC)))

    async def add_devices(self, count: int, *, connect: bool = True) -> list[StageDevice]:
        name = os.urandom(4).hex()
        ids = [f"{name}-{number:04d}" for number in range(count)]
        async with self.pool.acquire() as connection:
            await device_store.upsert_devices(connection, ids, "nats", None, datetime.now(UTC))
        added = [StageDevice(self.client, self.http, device_id, running(self.old)) for device_id in ids]
        self.devices += added
        if connect:
            await asyncio.gather(*(device.connect() for device in added))
            await until(lambda: self._heard(ids), "every hello was kept")
        return added

    async def until_hellos_are_done(self) -> None:
        """Until the service has also asked the catalogue for keys, where it had to."""
        durable, jetstream = streams.DEPLOY_DEVICES, self.client.jetstream(timeout=PATIENCE_S)

        async def handled() -> bool:
            info = await jetstream.consumer_info(durable.stream, durable.name)
            return info.num_pending == 0 and info.num_ack_pending == 0

        await until(handled, "every hello was handled")
        with suppress(
            AnswerError
        ):  # there is none; what the service asked before it answers has come by then
            await self.get(new_id("dep"))
        await settle(self.client)

    async def _heard(self, ids: Sequence[str]) -> bool:
        async with self.pool.acquire() as connection:
            rows = await device_store.get_devices(connection, ids)
        return all(row.expected_known for row in rows.values())

    async def order(self, devices: Sequence[StageDevice], **changes: Any) -> str:
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
        envelope, data = make_event(subjects.DEPLOY_REQUESTED, body, source="test", about=deployment_id)
        await publish_event(self.broker, subjects.DEPLOY_REQUESTED, envelope, data, stream=streams.EVENTS)
        return deployment_id

    def on_the_next_downbeat(self) -> dict[str, Any]:
        """An activation with the song that plays."""
        song = self.old.bundle
        began = {"track_id": song.track_id, "version": song.version, "started_at": self.song_began}
        return {"when": "downbeat", **began}

    async def get(self, deployment_id: str) -> DeploymentView:
        question = GetDeployment(deployment_id=deployment_id)
        subject = subjects.RPC_DEPLOYMENT_GET
        return await ask(self.broker, subject, question, DeploymentView, timeout_s=PATIENCE_S)

    async def control(self, deployment_id: str, action: str) -> DeploymentView:
        question = ControlDeployment.model_validate(
            {"deployment_id": deployment_id, "action": action, "requested_by": "anna"}
        )
        subject = subjects.RPC_DEPLOYMENT_CONTROL
        return await ask(self.broker, subject, question, DeploymentView, timeout_s=PATIENCE_S)

    async def status(self, deployment_id: str) -> str | None:
        return await self.pool.fetchval("SELECT status FROM deploy.deployments WHERE id = $1", deployment_id)

    async def until_status(self, deployment_id: str, *statuses: str) -> DeploymentView:
        async def reached() -> bool:
            return await self.status(deployment_id) in statuses

        try:
            await until(reached, f"{deployment_id} becomes {statuses}")
        except AssertionError as error:
            if await self.status(deployment_id) is None:
                raise
            raise AssertionError((await self.get(deployment_id)).model_dump_json(indent=1)) from error
        return await self.get(deployment_id)

    async def until_counts(self, deployment_id: str, **counts: int) -> DeploymentView:
        """Until so many devices have each outcome."""

        async def reached() -> DeploymentView | None:
            if await self.status(deployment_id) is None:  # it was not opened yet
                return None
            view = await self.get(deployment_id)
            return view if view.counts == counts else None

        return await until(reached, f"{deployment_id} has {counts}")

    async def until_paused(self, deployment_id: str, *, paused: bool) -> None:
        """Until a person's wish was taken."""

        async def reached() -> bool:
            return (await self.get(deployment_id)).paused is paused

        await until(reached, f"{deployment_id} has paused: {paused}")

    async def moments(self, deployment_id: str) -> list[datetime]:
        """When devices were to change, of each activation that was begun."""
        entries = await self._log(deployment_id)
        intents = [entry for entry in entries if isinstance(entry, Intent) and entry.step == "activate"]
        return [each.planned_for for each in intents if each.planned_for]

    async def errors_ms(self, deployment_id: str) -> list[float | None]:
        """How exact each activation was, by what the device said."""
        entries = await self._log(deployment_id)
        return [each.error_ms for each in entries if isinstance(each, Outcome) and each.step == "activate"]

    async def _log(self, deployment_id: str) -> Sequence[LogEntry]:
        async with self.pool.acquire() as connection:
            found = await store.load(connection, deployment_id)
        assert found is not None
        return found[1]

    async def alarm(self, device: StageDevice, kind: str = "drift", **changes: Any) -> None:
        """Raised certainly after the last activation, however badly a busy machine measured clocks."""
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
        envelope, data = make_event(
            subjects.DEVICE_ALARM, body, source="test", about=device.id, key=f"{device.id}/{now}"
        )
        await publish_event(self.broker, subjects.DEVICE_ALARM, envelope, data, stream=streams.EVENTS)

    async def expected(self, device: StageDevice) -> str | None:
        async with self.pool.acquire() as connection:
            row = (await device_store.get_devices(connection, [device.id]))[device.id]
        return row.expected.bundle_sha256 if row.expected else None

    def all_run(self, devices: Sequence[StageDevice], info: BundleInfo) -> bool:
        return all(device.runs(info.bundle.sha256) for device in devices)

    async def answer_bundle(self, body: bytes) -> bytes:
        question = GetBundle.model_validate_json(body)
        info = self.known.get((question.track_id, question.version))
        if info is None:
            error = RpcError(
                code="track_not_found", message=f"There is no track {question.track_id}.", status=404
            )
            return Answer[BundleInfo](error=error).model_dump_json().encode()
        return Answer[BundleInfo](result=info).model_dump_json(exclude_none=True).encode()

    def list_downbeats(self) -> list[float]:
        if self.downbeats_ms is not None:
            return self.downbeats_ms
        played = datetime.now(UTC) - self.song_began
        return [(played.total_seconds() + self.lead_s) * 1000]

    def list_keys(self) -> bytes:
        keys = [PublicKey(kid=kid, x="x") for kid in self.key_ids]
        document = json.dumps({"keys": [{"kid": kid} for kid in self.key_ids]})
        told = KeySet(keys=keys, document=document, signatures=dict.fromkeys(self.key_ids, "aa"))
        return Answer[KeySet](result=told).model_dump_json(exclude_none=True).encode()


def running(info: BundleInfo) -> RunningBundle:
    ref = info.bundle
    return RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)


async def store_bundle(objects: ObjectStore) -> BundleInfo:
    """A bundle of random bytes in the store, and what the catalogue tells of it."""
    data = os.urandom(SIZE)
    sha256 = hashlib.sha256(data).hexdigest()
    ref = BundleRef(sha256=sha256, size=len(data), track_id=new_id("trk"), version=1)
    key = f"bundles/{sha256}/bundle.k1b"
    await objects.put_bytes(key, data, "application/cbor")
    return bundle_info().model_copy(update={"bundle": ref, "key": key})


@asynccontextmanager
async def open_theatre() -> AsyncIterator[Theatre]:
    objects = ObjectStore(ObjectStoreSettings())
    async with (
        NatsBroker(**broker_options(NatsSettings()), logger=None) as broker,
        await open_pool(PostgresSettings(), "test") as pool,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=64), timeout=PATIENCE_S) as http,
    ):
        client = await nats.connect(**connect_options(NatsSettings()))
        theatre = Theatre(
            client, broker, pool, objects, http, await store_bundle(objects), await store_bundle(objects)
        )
        for info in (theatre.old, theatre.new):
            theatre.known[info.bundle.track_id, info.bundle.version] = info

        async def answer(message: Any) -> None:
            await message.respond(await theatre.answer_bundle(message.data))

        async def answer_keys(message: Any) -> None:
            await message.respond(theatre.list_keys())

        async def answer_map(message: Any) -> None:
            found = {"layers": {"rhythm": {"downbeat_ms": theatre.list_downbeats()}}}
            headers = {"k1-status": "200", "k1-etag": "map", "content-encoding": "gzip"}
            await client.publish(message.reply, gzip.compress(json.dumps(found).encode()), headers=headers)

        await client.subscribe(subjects.RPC_BUNDLE_INFO, "catalogue", cb=answer)
        await client.subscribe(subjects.RPC_KEY_LIST, "catalogue", cb=answer_keys)
        await client.subscribe(subjects.RPC_GENESIS_GET, "catalogue", cb=answer_map)
        await settle(client)
        try:
            yield theatre
        finally:
            for device in theatre.devices:
                await device.close()
            await client.close()
            objects.close()
