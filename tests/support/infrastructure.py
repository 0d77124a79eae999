"""Provides real servers for tests.

`K1_TEST_INFRA` selects them: `embedded` (the default: the servers of the wheels, one set for each test process),
`containers` (the official images; needs Docker), or `external` (addresses in the environment, as services read them).
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_platform.auth.signing import ensure_key
from k1_platform.provision import provision
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from tests.support.bus import connected_client


@dataclass(frozen=True)
class Infrastructure:
    """The addresses of the servers; `stack` is set if they are embedded and can be killed."""

    environment: dict[str, str]
    stack: EmbeddedStack | None


def _containers(running: ExitStack) -> dict[str, str]:
    from testcontainers.minio import MinioContainer
    from testcontainers.mongodb import MongoDbContainer
    from testcontainers.nats import NatsContainer
    from testcontainers.postgres import PostgresContainer

    bus = running.enter_context(NatsContainer("nats:2").with_command("-js"))
    postgres = running.enter_context(PostgresContainer("postgres:18", driver=None))
    mongo = running.enter_context(MongoDbContainer("mongo:8"))
    store = running.enter_context(MinioContainer())
    s3 = store.get_config()
    return {
        "K1_NATS_URL": bus.nats_uri(),
        "K1_POSTGRES_DSN": postgres.get_connection_url(),
        "K1_MONGO_URL": mongo.get_connection_url(),
        "K1_S3_URL": f"http://{s3['endpoint']}",
        "K1_S3_ACCESS_KEY": s3["access_key"],
        "K1_S3_SECRET_KEY": s3["secret_key"],
    }


@pytest.fixture(scope="session")
def infrastructure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """Run servers for this test process, with their addresses in the environment."""
    kind = os.environ.get("K1_TEST_INFRA", "embedded")
    with ExitStack() as running:
        stack = None
        if kind == "containers":
            environment = _containers(running)
        elif kind == "external":
            environment = {name: value for name, value in os.environ.items() if name.startswith("K1_")}
        else:
            stack = running.enter_context(EmbeddedStack(tmp_path_factory.mktemp("servers")))
            environment = stack.urls.environment() | {"K1_DEPLOY_NATS_KEYS": str(stack.urls.nats_deploy_keys)}
        keys = tmp_path_factory.mktemp("keys")
        ensure_key(keys)
        environment["K1_SIGNING_KEYS"] = str(keys)
        environment["K1_AUTH"] = "off"  # tests of sign-in turn it on for a gateway of their own
        patch = running.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Infrastructure(environment, stack)


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
