"""Keeps bad samples on the stream QUARANTINE, where `k1 dlq --quarantine` lists and redrives them."""

from dataclasses import dataclass

from nats.aio.client import Client

from k1_contracts import subjects
from k1_contracts.durables import TELEMETRY_STORE
from k1_contracts.streams import QUARANTINE
from k1_platform.nats.dead_letters.message import Failure, publish_dead_letter
from k1_telemetry.store.intake import ARRIVED_HEADER, BadSamples
from k1_telemetry.store.metrics import StoreMetrics


@dataclass(frozen=True)
class Quarantine:
    """Publishes bad samples; each message only once, also when it is delivered again."""

    client: Client
    metrics: StoreMetrics

    async def add(self, bad: BadSamples) -> None:
        """Publish the bad samples of one message.

        Raises:
            nats.errors.Error: the stream did not confirm; try again.
        """
        await publish_dead_letter(
            self.client,
            data=bad.body,
            headers={ARRIVED_HEADER: str(bad.arrived_us)},
            origin=(TELEMETRY_STORE.stream, TELEMETRY_STORE.name, bad.delivery.sequence, bad.subject),
            failure=Failure(bad.code, bad.reason, permanent=True, attempts_allowed=1),
            attempts=bad.delivery.number,
            to=(QUARANTINE, subjects.quarantine(bad.subject)),
        )
        self.metrics.bad.labels(bad.code).inc(bad.count)
