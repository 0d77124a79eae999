"""What the tests of nats share."""

from collections.abc import Iterator

import pytest

from k1_cli.stack.embedded.servers.nats import NatsServer
from tests.support.servers.nats_server import running_nats_server


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server without streams, for the tests of one file."""
    with running_nats_server(tmp_path_factory.mktemp("home")) as server:
        yield server
