"""Provisions NATS and the object store before any service starts: `python -m k1_platform.provision`.

The step is idempotent. Because durables exist before the first service starts, no message is missed, and an
autoscaler never takes a missing durable for a full backlog.
"""

import asyncio
import logging

import nats

from k1_platform.nats.administration.provision import provision_bus
from k1_platform.nats.bus.connection import connect_options
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import NatsSettings, ObjectStoreSettings, ObservabilitySettings, ProvisionSettings
from k1_platform.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


async def provision() -> None:
    """Provision the NATS server and the object store of the environment variables."""
    client = await nats.connect(
        **connect_options(NatsSettings()), connect_timeout=5, max_reconnect_attempts=3
    )
    objects = ObjectStore(ObjectStoreSettings())
    try:
        await asyncio.gather(
            provision_bus(client.jetstream(), replicas=ProvisionSettings().replicas), objects.ensure_bucket()
        )
    finally:
        objects.close()
        await client.close()
    _log.info("provisioned")


if __name__ == "__main__":
    configure_logging("provision", ObservabilitySettings().log_level)
    asyncio.run(provision())
