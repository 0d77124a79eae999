"""Starts ingest: opens its stores, starts the probe process, registers what `handlers` lists."""

from datetime import UTC, datetime

from k1_ingest.audio_checks.prober import Prober
from k1_ingest.handlers import UploadHandler, consume_events
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads.claim_store import ClaimStore
from k1_ingest.uploads.purged_tracks import PurgedTracks
from k1_ingest.uploads.track_publisher import TrackPublisher
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.nats.http_actors import act_as_sender
from k1_platform.service import Runtime, run_service
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime, settings: IngestSettings) -> None:
    """Open the stores, start the probe process, and register the route and the readiness checks."""
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    claims = await ClaimStore.open(runtime.bus.jetstream)
    prober = Prober(settings.probe_processes, settings.max_minutes)
    prober.start()
    runtime.cleanup.callback(prober.close)
    publisher = TrackPublisher(runtime.bus, claims, objects, _now)
    runtime.background(publisher.run, "track publisher")
    consume_events(runtime.bus, PurgedTracks(claims))
    service = UploadService(
        objects=objects,
        claims=claims,
        publisher=publisher,
        prober=prober,
        clock=_now,
        max_bytes=settings.max_bytes,
        spool_dir=settings.spool_dir,
    )
    handler = UploadHandler(service, runtime.bus.client, settings, runtime.registry)
    runtime.middlewares.append(act_as_sender)
    runtime.routes.extend(handler.routes())
    runtime.checks |= {"objects": objects.check, "claims": claims.check, "probe": prober.check}


def main() -> None:
    """Run ingest until SIGTERM or Ctrl-C."""
    settings = IngestSettings()
    run_service("ingest", settings, lambda runtime: wire(runtime, settings))
