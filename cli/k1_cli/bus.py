"""A connection to the running stack's NATS, for commands."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from pydantic import BaseModel

from k1_cli.errors import CommandError
from k1_cli.hints import k1_command
from k1_contracts.base import Contract
from k1_contracts.rpc import Answer
from k1_platform.nats_connection import connect_briefly
from k1_platform.settings import NatsSettings

_TIMEOUT_SECONDS = 10
"""A server that is not there is told of at once; one that is busy is waited for."""
_ANSWER_SECONDS = 30

A = TypeVar("A", bound=BaseModel)


@asynccontextmanager
async def connect_bus(settings: NatsSettings) -> AsyncGenerator[JetStreamContext]:
    """JetStream while the block runs; raises as `connect_client` does."""
    async with connect_client(settings) as client:
        yield client.jetstream(timeout=_TIMEOUT_SECONDS)


@asynccontextmanager
async def connect_client(settings: NatsSettings) -> AsyncGenerator[Client]:
    """A connection while the block runs.

    Raises:
        CommandError: the server does not answer, at the start or within the block.
    """
    try:
        async with connect_briefly(settings, _TIMEOUT_SECONDS) as client:
            yield client
    except (OSError, NatsError) as error:
        raise CommandError(
            f"the NATS server of this stack does not answer ({type(error).__name__}); "
            f"{k1_command('status')} tells more"
        ) from error


async def ask(client: Client, subject: str, question: Contract, answer: type[A]) -> A:
    """Ask the owner of `rpc.<owner>...`.

    Raises:
        CommandError: the owner's own sentence, or that it does not run or answer.
    """
    owner = subject.split(".")[1]
    try:
        reply = await client.request(subject, question.to_json(), timeout=_ANSWER_SECONDS)
    except NoRespondersError as error:
        raise CommandError(f"the {owner} service does not run; {k1_command('status')} tells more") from error
    except TimeoutError as error:
        raise CommandError(f"the {owner} service did not answer within {_ANSWER_SECONDS} s") from error
    told = Answer[answer].model_validate_json(reply.data)
    if told.error is not None:
        raise CommandError(f"{told.error.message} ({told.error.code})")
    assert told.result is not None
    return told.result
