"""Runs the broker and the database that the benchmarks of telemetry need."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
from pydantic import SecretStr

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_cli.stack.embedded.servers.postgres import PostgresServer
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import NatsSettings, PostgresSettings
from k1_telemetry.migrate import migrate


@dataclass(frozen=True)
class Servers:
    """The addresses of the servers."""

    bus: NatsSettings
    database: PostgresSettings

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a telemetry process."""
        return {
            "K1_NATS_URL": self.bus.url,
            "K1_NATS_CREDS": str(self.bus.creds),
            "K1_POSTGRES_DSN": self.database.dsn.get_secret_value(),
        }


@contextmanager
def running_servers(folder: Path) -> Generator[Servers]:
    """Run a provisioned broker and a migrated database until the block ends."""
    home = Home(folder / "home")
    home.create()
    bus, postgres = NatsServer(home), PostgresServer(home)
    try:
        bus.start()
        postgres.start()
        servers = Servers(bus.settings, PostgresSettings(dsn=SecretStr(postgres.dsn)))
        asyncio.run(_prepare(servers))
        yield servers
    finally:
        postgres.stop()
        bus.stop()


async def _prepare(servers: Servers) -> None:
    await migrate(servers.database)
    client = await nats.connect(**connect_options(servers.bus))
    try:
        await provision_bus(client.jetstream())
    finally:
        await client.close()
