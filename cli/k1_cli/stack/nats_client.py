"""Connects commands to the NATS server of the running stack and sends requests to its services."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext

from k1_cli.errors import CommandError
from k1_cli.output.hints import k1_command
from k1_cli.person import login_name
from k1_contracts.actors import Actor
from k1_contracts.descriptors import Q, Query, R
from k1_contracts.envelope import ACTOR_HEADER
from k1_contracts.rpc import Response
from k1_platform.nats.bus.connection import one_shot_connection
from k1_platform.settings import NatsSettings

_TIMEOUT_SECONDS = 10
"""For a server that is busy; one that does not run is an error at once."""
_RESPONSE_SECONDS = 30


@asynccontextmanager
async def connect_jetstream(settings: NatsSettings) -> AsyncGenerator[JetStreamContext]:
    """Open a JetStream context while the block runs; raises as `connect_nats` does."""
    async with connect_nats(settings) as client:
        yield client.jetstream(timeout=_TIMEOUT_SECONDS)


@asynccontextmanager
async def connect_nats(settings: NatsSettings) -> AsyncGenerator[Client]:
    """Open a connection while the block runs.

    Raises:
        CommandError: the server does not answer, at the start or during the block.
    """
    try:
        async with one_shot_connection(settings, _TIMEOUT_SECONDS) as client:
            yield client
    except (OSError, NatsError) as error:
        raise CommandError(
            f"the NATS server of this stack does not answer ({type(error).__name__}); "
            f"{k1_command('status')} tells more"
        ) from error


def _actor_header() -> dict[str, str]:
    """Return the header that names the person: whoever holds the credential of the bus may do everything."""
    name = login_name()
    return {ACTOR_HEADER: Actor(kind="local", id=name[:200], name=name[:100], role="admin").to_header()}


async def request(client: Client, query: Query[Q, R], body: Q) -> R:
    """Send a query to its service and return the result.

    Raises:
        CommandError: the owner refused, with its sentence, or it does not run or answer.
    """
    try:
        reply = await client.request(
            query.subject, body.to_json(), timeout=_RESPONSE_SECONDS, headers=_actor_header()
        )
    except NoRespondersError as error:
        raise CommandError(
            f"the {query.service} service does not run; {k1_command('status')} tells more"
        ) from error
    except TimeoutError as error:
        raise CommandError(
            f"the {query.service} service did not answer within {_RESPONSE_SECONDS} s"
        ) from error
    envelope = Response[query.response].model_validate_json(reply.data)
    if envelope.error is not None:
        raise CommandError(f"{envelope.error.message} ({envelope.error.code})")
    assert envelope.result is not None
    return envelope.result
