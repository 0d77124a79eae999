"""The composition root of ingest."""

from datetime import UTC, datetime

from k1_ingest.announcing import Announcer
from k1_ingest.claims import Claims
from k1_ingest.handlers import UploadHandler
from k1_ingest.probing import Prober
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads import Uploads
from k1_platform.service import Runtime, run_service
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime, settings: IngestSettings) -> None:
    """Open the stores, start the probe, register the route."""
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    claims = await Claims.open(runtime.bus.jetstream)
    prober = Prober(settings.probe_processes, settings.max_minutes)
    prober.start()
    runtime.cleanup.callback(prober.close)
    announcer = Announcer(runtime.bus, claims, objects, _now)
    runtime.background(announcer.run, "announcer")
    uploads = Uploads(
        objects=objects,
        claims=claims,
        announcer=announcer,
        prober=prober,
        clock=_now,
        max_bytes=settings.max_bytes,
        spool_dir=settings.spool_dir,
    )
    handler = UploadHandler(uploads, runtime.bus.client, settings, runtime.registry)
    runtime.routes.extend(handler.routes())
    runtime.checks |= {"objects": objects.check, "claims": claims.check, "probe": prober.check}


def main() -> None:
    """Run until stopped."""
    settings = IngestSettings()
    run_service("ingest", settings, lambda runtime: wire(runtime, settings))
