"""What a deployment is requested with, and the commands that reach the stream."""

import asyncio
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.envelope import Envelope
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, RequestDeployment
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from tests.support.waiting import PATIENCE_S

API = "/api/v1"
URL = f"{API}/deployments"
ONE = f"{URL}/{samples.DEPLOYMENT}"
ORDER: dict[str, Any] = {"track_id": samples.TRACK, "version": 3, "device_ids": ["k1-a", "k1-b"]}
UNKNOWN = QueryError("deployment_not_found", "There is no such deployment.", 404)


class RequestedDeployments:
    """The commands that are stored on `deploy.requested` from now on."""

    def __init__(self, jetstream: JetStreamContext, taken: int) -> None:
        self._jetstream = jetstream
        self._taken = taken
        """The sequence of the last message that does not count any more."""

    async def next(self) -> tuple[Envelope, RequestDeployment]:
        async with asyncio.timeout(PATIENCE_S):
            while (message := await self._find(self._taken)) is None:
                await asyncio.sleep(0.01)
        assert message.seq
        self._taken = message.seq
        body = RequestDeployment.model_validate_json(message.data or b"")
        return Envelope.from_headers(message.headers or {}), body

    async def count(self) -> int:
        """How many wait; one more request would be there by now, as it is confirmed before its response."""
        found, after = 0, self._taken
        while (message := await self._find(after)) is not None:
            assert message.seq
            found, after = found + 1, message.seq
        return found

    async def _find(self, after: int) -> RawStreamMsg | None:
        try:
            return await self._jetstream.get_msg(
                streams.EVENTS, seq=after + 1, subject=DEPLOY_REQUESTED.subject, next=True
            )
        except NotFoundError:
            return None
