"""Runs a NATS server for tests that need a separate one, without the other servers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_platform.nats.administration.provision import provision_bus
from tests.support.bus import connected_client
from tests.support.waiting import PATIENCE_S


@contextmanager
def running_nats_server(root: Path, *, provisioned: bool = False) -> Iterator[NatsServer]:
    """Run a server whose home is `root` until the block ends.

    It has the streams, durables and buckets only where `provisioned` says so.
    """
    home = Home(root)
    home.create()
    server = NatsServer(home)
    server.start()
    try:
        if provisioned:
            asyncio.run(_provision(server))
        yield server
    finally:
        server.stop()


async def _provision(server: NatsServer) -> None:
    async with connected_client(server.settings) as client:
        await provision_bus(client.jetstream(timeout=PATIENCE_S))
