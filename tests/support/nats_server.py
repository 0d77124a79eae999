"""A NATS server for tests that need one of their own, without the other servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer


@contextmanager
def running_nats_server(root: Path) -> Iterator[NatsServer]:
    """Run a server whose home is `root` until the block ends; nothing is provisioned."""
    home = Home(root)
    home.create()
    server = NatsServer(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
