"""Provisions mirrors on the NATS servers of a second cluster, or promotes them: `python -m k1_platform.mirror`.

K1_NATS_URL and K1_NATS_CREDS are those of the second cluster. With K1_MIRROR_ACTION=promote the mirrors become streams,
after the first cluster was lost; then restart the servers and provision as usual (docs/backup.md). Both steps are
idempotent.
"""

import asyncio
import logging

import nats

from k1_platform.nats.administration.mirrors import promote_mirrors, provision_mirrors
from k1_platform.nats.bus.connection import connect_options
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import MirrorSettings, NatsSettings, ObservabilitySettings, ProvisionSettings

_log = logging.getLogger(__name__)


async def mirror() -> None:
    """Provision or promote the mirrors on the NATS server of the environment variables."""
    settings, replicas = MirrorSettings(), ProvisionSettings().replicas
    client = await nats.connect(
        **connect_options(NatsSettings()), connect_timeout=5, max_reconnect_attempts=3
    )
    jetstream = client.jetstream()
    try:
        if settings.action == "promote":
            last = await promote_mirrors(client, jetstream, replicas=replicas, since=settings.since)
            _log.info("promoted; restart the servers, then provision", extra={"last_sequences": last})
        else:
            await provision_mirrors(jetstream, replicas=replicas)
            _log.info("mirrors provisioned")
    finally:
        await client.close()


if __name__ == "__main__":
    configure_logging("mirror", ObservabilitySettings().log_level)
    asyncio.run(mirror())
