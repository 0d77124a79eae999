"""In the whole system each service is connected to the bus with its own credential."""

import asyncio
import json
from typing import Any

import pytest

from k1_cli.stack.services import SERVICE_NAMES
from k1_platform.auth.jwt import decode
from k1_platform.auth.nkeys import NatsKeys
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e


def test_each_service_uses_its_own_credential(system: System) -> None:
    """The server says of each connection which program opened it, and the name in its token."""
    keys = NatsKeys(system.stack.home.nats_keys)
    connections = asyncio.run(_connections(system, keys))
    used = {
        each["name"]: decode(each["jwt"])["name"]
        for each in connections
        if each.get("name", "").startswith("k1-")
    }
    assert used == {f"k1-{name}": name for name in SERVICE_NAMES}


async def _connections(system: System, keys: NatsKeys) -> list[dict[str, Any]]:
    """Return the connections of the account K1, as the server lists them."""
    settings = NatsSettings(url=system.stack.bus.url, creds=keys.deploy / "system.creds")
    body = json.dumps({"auth": True, "acc": keys.account, "limit": 1000}).encode()
    async with connected_client(settings) as client:
        reply = await client.request("$SYS.REQ.SERVER.PING.CONNZ", body, timeout=PATIENCE_S)
    return json.loads(reply.data)["data"]["connections"]
