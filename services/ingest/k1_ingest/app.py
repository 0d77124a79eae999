"""Starts ingest: opens its stores, starts the probe process, registers what `handlers` lists."""

from datetime import UTC, datetime

from k1_ingest.audio_checks.prober import Prober
from k1_ingest.handlers import UploadHandler, consume_events, make_routes, serve_queries
from k1_ingest.open_uploads.store import OpenUploads
from k1_ingest.open_uploads.sweep import OpenUploadSweep
from k1_ingest.presigned.presigned_service import PresignedService
from k1_ingest.resumable.endpoints import TusEndpoints
from k1_ingest.resumable.tus_service import TusService
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads.claim_store import ClaimStore
from k1_ingest.uploads.purged_tracks import PurgedTracks
from k1_ingest.uploads.slots import UploadSlots
from k1_ingest.uploads.track_publisher import TrackPublisher
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.nats.http_actors import act_as_sender
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.service import Runtime, run_service
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime, settings: IngestSettings) -> None:
    """Open the stores, start the probe process, and register the routes and the readiness checks."""
    objects = ObjectStore(ObjectStoreSettings(), runtime.registry)
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
        maintenance_mode=MaintenanceMode(runtime.bus.jetstream),
        max_bytes=settings.max_bytes,
        spool_dir=settings.spool_dir,
    )
    open_uploads = await OpenUploads.open(runtime.bus.jetstream)
    tus = TusService(
        objects=objects, store=open_uploads, uploads=service, clock=_now, max_bytes=settings.max_bytes
    )
    slots = UploadSlots(settings.concurrent_uploads, settings.queue_timeout_s, runtime.registry)
    presigned = PresignedService(
        bus=runtime.bus,
        objects=objects,
        store=open_uploads,
        uploads=service,
        slots=slots,
        clock=_now,
        max_bytes=settings.max_bytes,
        max_minutes=settings.max_minutes,
    )
    serve_queries(runtime.bus, presigned)
    sweep = OpenUploadSweep(open_uploads, objects, _now, (tus.expire, tus.finish_whole, presigned.expire))
    runtime.background(sweep.run, "sweep of open uploads")
    client = runtime.bus.client
    upload = UploadHandler(service, client, settings, slots)
    runtime.middlewares.append(act_as_sender)
    runtime.routes.extend(make_routes(upload, TusEndpoints(tus, client, slots)))
    runtime.checks |= {
        "objects": objects.check,
        "claims": claims.check,
        "open uploads": open_uploads.check,
        "probe": prober.check,
    }


def main() -> None:
    """Run ingest until SIGTERM or Ctrl-C."""
    settings = IngestSettings()
    run_service("ingest", settings, lambda runtime: wire(runtime, settings))
