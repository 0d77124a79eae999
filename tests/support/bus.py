"""Connections of a test to the broker: a plain client, or the platform's bus."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_contracts.descriptors import Q, Query, R
from k1_contracts.rpc import Response, RpcError
from k1_platform.nats.bus.client import Bus, connect, make_broker
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import NatsSettings
from tests.support.waiting import PATIENCE_S, eventually


@asynccontextmanager
async def connected_client(settings: NatsSettings | None = None, **options: Any) -> AsyncGenerator[Client]:
    """Connect to the broker (by default that of the environment) and close the connection at the end.

    `options` are those of `nats.connect` that go beyond the platform's.
    """
    client = await nats.connect(**connect_options(settings or NatsSettings()), **options)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connected_bus(
    settings: NatsSettings | None = None, *, service: str = "test", registry: CollectorRegistry | None = None
) -> AsyncGenerator[Bus]:
    """Connect the platform's bus, and stop it at the end.

    Its subscribers run once the test has called `bus.broker.start()`.
    """
    broker = make_broker(
        settings or NatsSettings(),
        service=service,
        registry=registry or CollectorRegistry(),
        tracer_provider=TracerProvider(),
    )
    try:
        yield await connect(broker)
    finally:
        await broker.stop()


async def request(
    client: Client, query: Query[Q, R], body: Q, *, within_s: float = PATIENCE_S
) -> R | RpcError:
    """Send a request until a service responds; return the result, or the error of a refusal."""

    async def response() -> Response[R] | None:
        reply = await client.request(query.subject, body.to_json(), timeout=5)
        response = Response[query.response].model_validate_json(reply.data)
        return response if response.error is None or response.error.status < 500 else None

    found = await eventually(
        response,
        f"a response to {query.subject}",
        within_s=within_s,
        interval_s=0.1,
        retry_on=(NatsError, TimeoutError, OSError),
    )
    outcome = found.result or found.error
    assert outcome is not None
    return outcome


async def read_stream(client: Client, stream: str, subject: str, *, after: int = 0) -> list[Msg]:
    """Return the messages of a stream on a subject, oldest first; their metadata has sequence and time.

    `after`: the number of a message; those up to it are left out.
    """
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
    )
    subscription = await client.jetstream(timeout=PATIENCE_S).pull_subscribe(
        subject, stream=stream, config=config
    )
    messages: list[Msg] = []
    while (await subscription.consumer_info()).num_pending:
        messages += await subscription.fetch(500, timeout=PATIENCE_S)
    await subscription.unsubscribe()
    return messages


async def flush(client: Client) -> None:
    """Wait until the server has received all that was sent.

    The flush of nats-py may overtake what is still queued, so only a second one proves it.
    """
    await client.flush()
    await client.flush()
