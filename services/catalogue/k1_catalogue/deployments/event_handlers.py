"""Applies the events of deployments to the table of deployments."""

from dataclasses import dataclass

from k1_catalogue.database import is_first_delivery
from k1_catalogue.deployments.deployment import DeploymentEvent, apply_event
from k1_catalogue.deployments.store import find_deployment, save_deployment
from k1_catalogue.history.store import was_purged
from k1_catalogue.tracks.store import lock_track
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class DeploymentEventHandlers:
    """Applies each event to its deployment."""

    pool: Pool

    async def handle_event(self, message: Delivery[DeploymentEvent]) -> None:
        """Apply an event to its deployment.

        Raises:
            TransientError: the track is not known yet.
            PermanentError: the deployment belongs to another track.
        """
        event = message.body
        async with self.pool.acquire() as connection, connection.transaction():
            if not await is_first_delivery(connection, message.envelope.id):
                return
            # The lock makes two events of one deployment wait for each other.
            if await lock_track(connection, event.track_id) is None:
                if await was_purged(connection, event.track_id):
                    return
                raise TransientError(f"track {event.track_id} is not known yet")
            before = await find_deployment(connection, event.deployment_id)
            if before is not None and before.track_id != event.track_id:
                reason = f"deployment {before.id} is one of {before.track_id}, not of {event.track_id}"
                raise PermanentError("deployment_mismatch", reason)
            await save_deployment(connection, apply_event(before, event))
