"""What the endpoints' functions need."""

from dataclasses import dataclass
from typing import Final

import aiohttp

from k1_contracts.base import Contract
from k1_contracts.rpc import Response
from k1_gateway.edge import Edge
from k1_gateway.rate_limits import RateLimits
from k1_gateway.settings import GatewaySettings
from k1_platform.nats.client import Bus
from k1_platform.nats.rpc import REQUEST_TIMEOUT_S, QueryError, request_raw

_RESULT: Final = b'{"result":'


@dataclass(frozen=True, slots=True)
class Api:
    """The gateway's connections: it owns nothing and asks the owners."""

    bus: Bus
    http: aiohttp.ClientSession
    settings: GatewaySettings
    edge: Edge
    limits: RateLimits
    description: bytes
    """The OpenAPI document."""

    async def ask(self, subject: str, question: Contract, timeout_s: float = REQUEST_TIMEOUT_S) -> bytes:
        """The JSON of the owner's result as it wrote it: parsing and writing it anew would only cost time.

        Raises:
            AnswerError: the owner's error, or that it did not answer.
        """
        reply = (await request_raw(self.bus.broker, subject, question, timeout_s=timeout_s)).body
        if reply.startswith(_RESULT):
            return reply[len(_RESULT) : -1]
        error = Response[Contract].model_validate_json(reply).error
        assert error is not None, "an answer without a result holds an error"
        raise QueryError.of(error)
