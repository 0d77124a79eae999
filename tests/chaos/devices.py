"""Simulated devices of a running system, for tests that kill its services."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import (
    DEVICE_ADD,
    DEVICE_REVOKE,
    AddDevices,
    RevokeDevices,
)
from k1_contracts.rpc import RpcError
from k1_platform.settings import NatsSettings
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import provisioned
from tests.support.bus import request
from tests.support.system import System


async def add_devices(
    system: System, client: Client, folder: Path, device_ids: Sequence[str], transport: Transport = "nats"
) -> Fleet:
    """Provision devices and return them as a fleet that is not started."""
    command = AddDevices(device_ids=list(device_ids), transport=transport, renew=True)
    added = await request(client, DEVICE_ADD, command)
    assert not isinstance(added, RpcError), added
    servers = system.stack.device_servers
    return Fleet(
        provisioned(added),
        servers=Servers(NatsSettings(url=servers.nats_url or "", creds=None), servers.mqtt_url),
        folder=folder,
        behaviour=BehaviourConfig(reconnect_s=0.2),
    )


@asynccontextmanager
async def revoked_at_the_end(client: Client, device_ids: Sequence[str]) -> AsyncGenerator[None]:
    """Revoke devices when the block ends, so that other tests do not see them."""
    try:
        yield
    finally:
        command = RevokeDevices(device_ids=list(device_ids))
        await request(client, DEVICE_REVOKE, command)
