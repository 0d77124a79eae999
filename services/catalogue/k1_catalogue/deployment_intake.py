"""Facts of deployments and what they change."""

from dataclasses import dataclass

from k1_catalogue import store
from k1_catalogue.deployment_store import find_deployment, save_deployment
from k1_catalogue.deployments import DeployFact, receive
from k1_catalogue.intake import CONSUMER
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.consumers import Delivery
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class DeploymentIntake:
    """Applies facts of deployments to the tables."""

    pool: Pool

    async def record(self, event: Delivery[DeployFact]) -> None:
        """Put a fact to what is known of its deployment.

        Raises:
            TransientError: the track is not known yet.
            PermanentError: the deployment is another track's.
        """
        fact = event.body
        async with self.pool.acquire() as connection, connection.transaction():
            if not await mark_handled(connection, store.SCHEMA, CONSUMER, event.envelope.id):
                return
            # Two facts of one deployment wait for each other here.
            if await store.lock_track(connection, fact.track_id) is None:
                raise TransientError(f"track {fact.track_id} is not known yet")
            known = await find_deployment(connection, fact.deployment_id)
            if known is not None and known.track_id != fact.track_id:
                message = f"deployment {known.id} is one of {known.track_id}, not of {fact.track_id}"
                raise PermanentError("deployment_mismatch", message)
            await save_deployment(connection, receive(known, fact))
