"""Says at once, to all gateways, which access tokens and keys are not valid any more.

A live message may be lost, so each change is also stored; a gateway that starts or reconnects reads those of the last
minutes, as long as an access token lives.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from faststream.nats import NatsBroker
from nats.errors import Error as NatsError

from k1_contracts.messages.accounts.users import (
    ACCESS_CHANGED,
    AccessChanged,
    ListRevocations,
    RevocationList,
)
from k1_platform.postgres.pool import Connection, Pool

KEPT: Final = timedelta(minutes=16)
"""The lifetime of an access token, and a minute for clocks that differ."""
_log = logging.getLogger(__name__)


async def store_revocation(connection: Connection, change: AccessChanged) -> None:
    """Store a change; call it in the transaction that makes it."""
    await connection.execute(
        "INSERT INTO accounts.revocations (at, change) VALUES ($1, $2)",
        change.at,
        change.to_json().decode(),
    )


@dataclass(frozen=True, slots=True)
class AccessNotifier:
    """Publishes changes of access after their transaction has ended."""

    broker: NatsBroker

    async def publish(self, changes: Sequence[AccessChanged]) -> None:
        """Publish the changes; one that is lost is in the list of revocations."""
        for change in changes:
            try:
                await self.broker.publish(change.to_json(), ACCESS_CHANGED.subject_for(change.user_id))
            except (NatsError, OSError, TimeoutError) as error:
                _log.warning("revocation not published", extra={"reason": repr(error)})


@dataclass(frozen=True, slots=True)
class RevocationQueries:
    """Responds to gateways that start or reconnect."""

    pool: Pool
    clock: Callable[[], datetime]

    async def list_revocations(self, _: ListRevocations) -> RevocationList:
        """Return the changes that may still concern an access token, the oldest first."""
        rows = await self.pool.fetch(
            "SELECT change FROM accounts.revocations WHERE at > $1 ORDER BY id", self.clock() - KEPT
        )
        return RevocationList(items=[AccessChanged.model_validate_json(row["change"]) for row in rows])
