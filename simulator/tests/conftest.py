"""Provides fleets of simulated devices on real servers."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from k1_contracts.messages.deploy.device_link import Transport
from k1_platform.auth.device_credentials import load_device_keys, mint
from k1_platform.auth.jwt import KeyKind, KeyPair
from k1_platform.settings import NatsSettings
from k1_platform.storage.objects import ObjectStore
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity
from simulator.tests.commander import Commander
from simulator.tests.shows import KEY, bundle, jwk_set
from tests.support.infrastructure import Infrastructure

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def identities(provisioned: Infrastructure) -> Callable[[Sequence[str], Transport], list[Identity]]:
    """Return a function that creates devices with credentials, as deploy does."""
    if provisioned.nats_keys is None:
        pytest.skip("the keys of the bus are not at hand")
    keys = load_device_keys(provisioned.nats_keys.deploy)

    def made(device_ids: Sequence[str], transport: Transport) -> list[Identity]:
        now = int(time.time())
        return [
            Identity(
                device_id=device_id,
                credential=mint(keys, device_id, transport, KeyPair.generate(KeyKind.USER), now).credential,
                trusted_keys=jwk_set(KEY),
            )
            for device_id in device_ids
        ]

    return made


@pytest.fixture
async def make_fleet(
    provisioned: Infrastructure,
    identities: Callable[[Sequence[str], Transport], list[Identity]],
    tmp_path: Path,
) -> AsyncIterator[MakeFleet]:
    """Return a function that creates stopped fleets in the test's folder; all are stopped at the end."""
    servers = Servers(
        NatsSettings(url=provisioned.environment["K1_NATS_URL"], creds=None), provisioned.mqtt_url
    )
    async with AsyncExitStack() as running:

        def made(device_ids: Sequence[str], transport: Transport = "nats", **options: Any) -> Fleet:
            options = {
                "behaviour": BehaviourConfig(telemetry=False, reconnect_s=0.05),
                "folder": tmp_path / "devices",
            } | options
            fleet = Fleet(identities(device_ids, transport), servers=servers, **options)
            running.push_async_callback(fleet.stop)
            return fleet

        yield made


@pytest.fixture
async def commander(nats_client: Client) -> Commander:
    """Start the other end of the device link."""
    commander = Commander(nats_client)
    await commander.start()
    return commander


@pytest.fixture
async def store(objects: ObjectStore) -> Callable[[int], Any]:
    """Return a function that stores the bundle of a seed and returns the fields of its `stage` command."""

    async def stored(seed: int, chunk_size: int = 65536) -> dict[str, Any]:
        made = bundle(seed)
        key = f"bundles/{made.sha256}.k1b"
        await objects.put_bytes(key, made.data, "application/octet-stream")
        url = objects.signed_url(key, expires=timedelta(hours=1))
        return stage_fields(seed, url, chunk_size)

    return stored


def stage_fields(seed: int, url: str, chunk_size: int = 65536) -> dict[str, Any]:
    """Return the fields of a `stage` command for the bundle of a seed at this URL."""
    made = bundle(seed)
    return {
        "bundle_sha256": made.sha256,
        "size": len(made.data),
        "url": url,
        "chunk_size": chunk_size,
        "track_id": made.manifest.track_id,
        "version": made.manifest.track_version,
    }
