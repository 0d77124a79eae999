"""Provides real servers for tests.

`K1_TEST_INFRA` selects them: `embedded` (the default: the servers of the wheels, one set for each test process),
`containers` (the images of docker-compose.yml, one set for each test process; needs Docker, see docs/containers.md), or
`external` (addresses in the environment, as services read them).
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_platform.auth.nkeys import NatsKeys
from k1_platform.auth.signing import ensure_key
from k1_platform.provision import provision
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from tests.support.bus import connected_client


@dataclass(frozen=True)
class Infrastructure:
    """The addresses of the servers."""

    environment: dict[str, str]
    nats_keys: NatsKeys | None = None
    """The keys of the bus; unknown for external servers."""
    mqtt_url: str | None = None
    stack: EmbeddedStack | None = None
    """Set if the servers are embedded."""

    def killable(self) -> EmbeddedStack:
        """Return the servers for a test that kills and restarts them; skip the test where they are not embedded."""
        if self.stack is None:
            pytest.skip("the test kills servers, and these are not embedded: K1_TEST_INFRA=embedded")
        return self.stack


def _embedded(folder: Path, running: ExitStack) -> Infrastructure:
    stack = running.enter_context(EmbeddedStack(folder))
    urls = stack.urls
    environment = urls.environment() | {"K1_DEPLOY_NATS_KEYS": str(urls.nats_keys.deploy)}
    return Infrastructure(environment, urls.nats_keys, urls.mqtt_url, stack)


def _containers(folder: Path, running: ExitStack) -> Infrastructure:
    from tests.support.servers.containers import start_servers

    servers = start_servers(folder, running)
    return Infrastructure(servers.environment, servers.nats_keys, servers.mqtt_url)


def _external(folder: Path, running: ExitStack) -> Infrastructure:
    del folder, running
    return Infrastructure({name: value for name, value in os.environ.items() if name.startswith("K1_")})


_START: Final = {"embedded": _embedded, "containers": _containers, "external": _external}


@pytest.fixture(scope="session")
def infrastructure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """Run servers for this test process, with their addresses in the environment."""
    kind = os.environ.get("K1_TEST_INFRA", "embedded")
    with ExitStack() as running:
        servers = _START[kind](tmp_path_factory.mktemp("servers"), running)
        environment = servers.environment
        keys = tmp_path_factory.mktemp("keys")
        ensure_key(keys)
        environment["K1_SIGNING_KEYS"] = str(keys)
        environment["K1_AUTH"] = "off"  # tests of sign-in turn it on for a gateway of their own
        patch = running.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        yield servers


@pytest.fixture(scope="session")
def provisioned(infrastructure: Infrastructure) -> Infrastructure:
    """Return the servers once they have the streams, durables, buckets and the object bucket."""
    asyncio.run(provision())
    return infrastructure


@pytest.fixture
async def nats_client(provisioned: Infrastructure) -> AsyncIterator[Client]:
    """Connect to the broker."""
    async with connected_client() as client:
        yield client


@pytest.fixture
def jetstream(nats_client: Client) -> JetStreamContext:
    """Return JetStream of that connection, with a timeout that is long enough for a slow machine."""
    return nats_client.jetstream(timeout=60)


@pytest.fixture
def objects(provisioned: Infrastructure) -> Iterator[ObjectStore]:
    """Connect to the object store."""
    store = ObjectStore(ObjectStoreSettings())
    yield store
    store.close()


@pytest.fixture
def unique() -> str:
    """Return a name that no other test uses."""
    return uuid.uuid4().hex[:12]
