"""Keeps this gateway informed of revoked access: by live messages, and by asking accounts for those that were missed."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg
from pydantic import ValidationError

from k1_contracts.messages.accounts.users import (
    ACCESS_CHANGED,
    REVOCATION_LIST,
    AccessChanged,
    ListRevocations,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryError, request

_INTERVAL_S: Final = 15.0
"""Live messages may be lost while the connection is down; what was missed is known after so long."""
_RETRY_S: Final = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RevocationFeed:
    """Calls `apply` with each change of access, some of them more than once."""

    bus: Bus
    apply: Callable[[AccessChanged], None]

    async def run(self) -> None:
        """Listen until cancelled."""
        subscription = await self.bus.client.subscribe(ACCESS_CHANGED.pattern, cb=self._on_message)
        try:
            while True:
                answered = await self._catch_up()
                await asyncio.sleep(_INTERVAL_S if answered else _RETRY_S)
        finally:
            await subscription.unsubscribe()

    async def _on_message(self, message: Msg) -> None:
        try:
            self.apply(AccessChanged.model_validate_json(message.data))
        except ValidationError as error:
            _log.warning("not a change of access", extra={"reason": str(error)})

    async def _catch_up(self) -> bool:
        """Apply the changes of the last minutes; return whether accounts answered."""
        try:
            found = await request(self.bus.broker, REVOCATION_LIST, ListRevocations())
        except QueryError as error:
            _log.debug("accounts does not list revocations", extra={"reason": str(error)})
            return False
        for change in found.items:
            self.apply(change)
        return True
