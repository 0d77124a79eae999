"""The harness of chaos runs: real servers, deploy as real processes, and a fake catalogue.

Servers and processes are shared by all runs, because starting them takes longer than a run.
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

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.zygote import Zygote
from k1_contracts.durables import DEPLOY, DEPLOY_DEVICES
from k1_contracts.messages.catalogue.graphs import KEY_LIST, KeySet, PublicKey
from k1_contracts.messages.deploy.bundles import BUNDLE_INFO, BundleInfo, GetBundle
from k1_contracts.rpc import Response
from k1_deploy.migrate import migrate
from k1_deploy.orchestration.storage.bundle_locations import save_location
from k1_graph.bundle.container import key_id
from k1_platform.auth.signing import ensure_key, load_keys
from k1_platform.nats.administration.provision import consumer_config, provision_bus
from k1_platform.nats.bus.connection import connect_options
from k1_platform.postgres.pool import open_pool
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from tests.chaos.deployments.client import ChaosClient
from tests.chaos.deployments.deploy_process import DeployProcess
from tests.chaos.deployments.signed_bundles import make_signed_bundle
from tests.support.bus import connected_client
from tests.support.processes import unmeasured

ACK_WAIT = timedelta(seconds=2)
"""The redelivery time after a kill: shorter than in the contract, which would take most of a run."""


@dataclass
class ChaosHarness:
    """Runs from `start` to `stop`, with all its files in `folder`."""

    folder: Path
    stack: EmbeddedStack = field(init=False)
    zygote: Zygote = field(init=False)
    deploys: list[DeployProcess] = field(default_factory=list)
    _started: int = 0

    def __post_init__(self) -> None:
        self.stack = EmbeddedStack(self.folder / "servers")
        ensure_key(self.folder / "keys")
        self.key = load_keys(self.folder / "keys").signing
        self.old, self.new, self.next = self.bundles = [
            make_signed_bundle(name, self.key) for name in ("old", "new", "next")
        ]

    @classmethod
    def temporary(cls) -> Self:
        """Return a harness in a new folder, in memory if possible, because devices write their state all the time."""
        memory = Path("/dev/shm")
        return cls(Path(tempfile.mkdtemp(prefix="k1-chaos-", dir=memory if memory.is_dir() else None)))

    def start(self) -> None:
        """Start and provision the servers; `run_deploys` starts deploy."""
        with unmeasured():
            self.zygote = Zygote(self.folder / "zygote.log")
            self.stack.start()
        asyncio.run(self._prepare())

    def stop(self) -> None:
        """Stop all processes and servers."""
        try:
            for deploy in self.deploys:
                deploy.stop()
        finally:
            self.zygote.close()
            self.stack.stop()

    def logs(self) -> list[Path]:
        """Return the log files of all processes of deploy, including those that have ended."""
        return sorted(self.folder.glob("deploy-*.jsonl"))

    @property
    def nats(self) -> NatsSettings:
        urls = self.stack.urls
        return NatsSettings(url=urls.nats_url, creds=urls.nats_keys.admin_credentials)

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
        try:
            async with connected_client(self.nats) as client:
                jetstream = client.jetstream(timeout=60)
                await asyncio.gather(provision_bus(jetstream), objects.ensure_bucket())
                for durable in (DEPLOY, DEPLOY_DEVICES):
                    config = consumer_config(replace(durable, ack_wait=ACK_WAIT))
                    await jetstream.add_consumer(durable.stream, config)
            for bundle in self.bundles:
                await objects.put_bytes(bundle.info.key, bundle.bundle.data, "application/cbor")
        finally:
            objects.close()
        await migrate(self.postgres)
        async with await open_pool(self.postgres, "chaos") as pool, pool.acquire() as connection:
            await save_location(connection, self.old.info)

    def run_deploys(self, count: int, settings: dict[str, str]) -> None:
        """Run this many processes with these settings; stop others, and leave those that already fit."""
        environment = self.stack.urls.environment() | settings
        environment["K1_DEPLOY_NATS_KEYS"] = str(self.stack.urls.nats_keys.deploy)
        outdated = [each for each in self.deploys if each.environment != environment]
        for each in [*outdated, *[d for d in self.deploys if d not in outdated][count:]]:
            each.stop()
            self.deploys.remove(each)
        while len(self.deploys) < count:
            self._started += 1
            self.deploys.append(
                DeployProcess(self.zygote, environment, self.folder / f"deploy-{self._started}.jsonl")
            )

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ChaosClient]:
        """Connect for one run, serve the catalogue's queries, and keep deploy running."""
        client = await nats.connect(
            **connect_options(self.nats),
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            error_cb=_ignore,
        )
        # It keeps no connection: asyncpg would log each attempt to restore it.
        pool = await asyncpg.create_pool(self.stack.urls.postgres_dsn, min_size=0, max_size=4)
        supervisor = asyncio.create_task(self._keep_running())
        try:
            await client.subscribe(BUNDLE_INFO.subject, "catalogue", cb=self._respond_bundle)
            await client.subscribe(KEY_LIST.subject, "catalogue", cb=self._respond_keys)
            await client.flush()
            yield ChaosClient(client, pool)
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
            await client.close()
            pool.terminate()

    async def _keep_running(self) -> None:
        while True:
            for deploy in self.deploys:
                deploy.keep_running()
            await asyncio.sleep(0.05)

    async def _respond_bundle(self, message: Msg) -> None:
        query = GetBundle.model_validate_json(message.data)
        [info] = [s.info for s in self.bundles if s.info.bundle.track_id == query.track_id]
        await message.respond(Response[BundleInfo](result=info).model_dump_json(exclude_none=True).encode())

    async def _respond_keys(self, message: Msg) -> None:
        await message.respond(Response[KeySet](result=self.keys).model_dump_json(exclude_none=True).encode())


async def _ignore(_: Exception) -> None:
    """Connection errors are expected while a server is down."""
