"""A second gateway of the whole system, where callers must sign in, with an API key for each role."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from k1_contracts.actors import ROLES, Role
from k1_platform.auth.nkeys import NatsKeys
from tests.support.service_process import running_service
from tests.support.system import System

PATIENCE_S: Final = 60


@dataclass(frozen=True)
class SignedIn:
    """The gateway, and who may call it."""

    url: str
    admin_key: str
    """Of the command line."""
    keys: Mapping[Role, str]
    """Keys of the administrator that give away less, by role."""

    def client(self, key: str | None = None) -> httpx.Client:
        """Return a client with this key, by default that of the command line."""
        headers = {"Authorization": f"Bearer {key or self.admin_key}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=PATIENCE_S)


@pytest.fixture(scope="session")
def signed_in(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    """Run the gateway beside that of the system, with its credential of the bus and nearly without limits of rate."""
    credentials = NatsKeys(system.stack.home.nats_keys).service_credentials("gateway")
    own = {
        "K1_AUTH": "on",
        "K1_NATS_CREDS": str(credentials),
        "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "100000",
    }
    folder = tmp_path_factory.mktemp("signed-in")
    with running_service("gateway", system.stack.environment | own, folder) as running:
        admin_key = system.stack.home.api_key_file.read_text().strip()
        gateway = SignedIn(running.url, admin_key, {})
        with gateway.client() as client:
            keys: dict[Role, str] = {}
            for role in ROLES:
                created = client.post("/me/keys", json={"name": f"test {role}", "role": role})
                keys[role] = created.json()["secret"]
        yield SignedIn(running.url, admin_key, keys)
