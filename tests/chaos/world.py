"""Real servers, deploy as real processes, and a stand-in for the catalogue: what runs of deployments share.

The servers and processes outlive a run, so that a hundred runs do not start them a hundred times.
"""

import asyncio
import base64
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

import asyncpg
import nats
from nats.aio.msg import Msg
from pydantic import SecretStr

from k1_cli.embedded.stack import EmbeddedStack
from k1_cli.nursery import Nursery
from k1_contracts import streams, subjects
from k1_contracts.messages.bundles import BundleInfo, GetBundle
from k1_contracts.messages.graphs import KeySet, PublicKey
from k1_contracts.rpc import Answer
from k1_deploy.driving.bundles import remember_bundle
from k1_deploy.migrate import migrate
from k1_graph.bundle.container import key_id
from k1_platform.database import open_pool
from k1_platform.nats_connection import connect_options
from k1_platform.objects import ObjectStore
from k1_platform.provision import consumer_config, provision_bus
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.signing import ensure_key, load_keys
from tests.chaos.processes import DeployProcess
from tests.chaos.session import Session
from tests.chaos.shows import make_show

ACK_WAIT = timedelta(seconds=2)
"""What a killed process had not acknowledged comes again after this; the contract's time would be most of a run."""


@dataclass
class World:
    """Begins at `start`, ends at `stop`; `folder` keeps its logs."""

    folder: Path
    stack: EmbeddedStack = field(init=False)
    nursery: Nursery = field(init=False)
    deploys: list[DeployProcess] = field(default_factory=list)
    _started: int = 0

    def __post_init__(self) -> None:
        self.stack = EmbeddedStack(self.folder / "servers")
        ensure_key(self.folder / "keys")
        self.key = load_keys(self.folder / "keys").signing
        self.old, self.new, self.next = self.shows = [
            make_show(name, self.key) for name in ("old", "new", "next")
        ]

    @classmethod
    def temporary(cls) -> Self:
        """On a file system in memory where there is one: a hundred devices write their state all the time."""
        memory = Path("/dev/shm")
        return cls(Path(tempfile.mkdtemp(prefix="k1-chaos-", dir=memory if memory.is_dir() else None)))

    def start(self) -> None:
        self.nursery = Nursery(self.folder / "nursery.log")
        self.stack.start()
        asyncio.run(self._prepare())

    def stop(self) -> None:
        try:
            for deploy in self.deploys:
                deploy.stop()
        finally:
            self.nursery.close()
            self.stack.stop()

    def logs(self) -> list[Path]:
        """Of the processes of deploy, those that run and those that have gone."""
        return sorted(self.folder.glob("deploy-*.jsonl"))

    @property
    def nats(self) -> NatsSettings:
        urls = self.stack.urls
        return NatsSettings(url=urls.nats_url, creds=urls.nats_creds)

    @property
    def postgres(self) -> PostgresSettings:
        return PostgresSettings(dsn=SecretStr(self.stack.urls.postgres_dsn))

    @property
    def keys(self) -> KeySet:
        public = self.key.public_key()
        x = base64.urlsafe_b64encode(public.public_bytes_raw()).decode().rstrip("=")
        return KeySet(keys=[PublicKey(kid=key_id(public), x=x)])

    @property
    def objects(self) -> ObjectStoreSettings:
        urls = self.stack.urls
        return ObjectStoreSettings(
            url=urls.s3_url,
            access_key=SecretStr(urls.s3_access_key),
            secret_key=SecretStr(urls.s3_secret_key),
            bucket=urls.s3_bucket,
        )

    async def _prepare(self) -> None:
        objects = ObjectStore(self.objects)
        client = await nats.connect(**connect_options(self.nats))
        jetstream = client.jetstream(timeout=60)
        try:
            await asyncio.gather(provision_bus(jetstream), objects.ensure_bucket())
            for durable in (streams.DEPLOY, streams.DEPLOY_DEVICES):
                config = consumer_config(replace(durable, ack_wait=ACK_WAIT))
                await jetstream.add_consumer(durable.stream, config)
            for show in self.shows:
                await objects.put_bytes(show.info.key, show.bundle.data, "application/cbor")
        finally:
            objects.close()
            await client.close()
        await migrate(self.postgres)
        async with await open_pool(self.postgres, "chaos") as pool, pool.acquire() as connection:
            await remember_bundle(connection, self.old.info)

    def run_deploys(self, count: int, settings: dict[str, str]) -> None:
        """So many processes with these settings run from now on; those that do are left alone."""
        environment = self.stack.urls.environment() | settings
        environment["K1_DEPLOY_NATS_KEYS"] = str(self.stack.urls.nats_deploy_keys)
        unlike = [each for each in self.deploys if each.environment != environment]
        for each in [*unlike, *[d for d in self.deploys if d not in unlike][count:]]:
            each.stop()
            self.deploys.remove(each)
        while len(self.deploys) < count:
            self._started += 1
            self.deploys.append(
                DeployProcess(self.nursery, environment, self.folder / f"deploy-{self._started}.jsonl")
            )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Session]:
        """Connections for one run; the catalogue answers, and deploy is kept running."""
        client = await nats.connect(
            **connect_options(self.nats),
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            error_cb=_passed_over,
        )
        # No connection that is kept: asyncpg would tell of each attempt to have it back.
        pool = await asyncpg.create_pool(self.stack.urls.postgres_dsn, min_size=0, max_size=4)
        keeping = asyncio.create_task(self._keep_running())
        try:
            await client.subscribe(subjects.RPC_BUNDLE_INFO, "catalogue", cb=self._tell_bundle)
            await client.subscribe(subjects.RPC_KEY_LIST, "catalogue", cb=self._tell_keys)
            await client.flush()
            yield Session(client, pool)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await client.close()
            pool.terminate()

    async def _keep_running(self) -> None:
        while True:
            for deploy in self.deploys:
                deploy.keep_running()
            await asyncio.sleep(0.05)

    async def _tell_bundle(self, message: Msg) -> None:
        question = GetBundle.model_validate_json(message.data)
        [info] = [s.info for s in self.shows if s.info.bundle.track_id == question.track_id]
        await message.respond(Answer[BundleInfo](result=info).model_dump_json(exclude_none=True).encode())

    async def _tell_keys(self, message: Msg) -> None:
        await message.respond(Answer[KeySet](result=self.keys).model_dump_json(exclude_none=True).encode())


async def _passed_over(_: Exception) -> None:
    """A server that is away is a part of the run."""
