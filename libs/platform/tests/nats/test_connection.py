"""Connections that are opened for one task."""

import asyncio

import pytest
from nats.errors import Error as NatsError

from k1_platform.nats.bus.connection import one_shot_connection
from k1_platform.settings import NatsSettings
from tests.support.infrastructure import Infrastructure


async def test_a_server_that_is_not_there_is_reported_at_once() -> None:
    """By itself the client would try for two minutes."""
    nowhere = NatsSettings(url="nats://127.0.0.1:9", creds=None)
    async with asyncio.timeout(60):
        with pytest.raises((OSError, NatsError)):
            await one_shot_connection(nowhere, 3).__aenter__()


async def test_it_ends_with_its_block(provisioned: Infrastructure) -> None:
    async with one_shot_connection(NatsSettings.of(provisioned.environment), 60) as client:
        await client.flush(timeout=60)
    assert client.is_closed
