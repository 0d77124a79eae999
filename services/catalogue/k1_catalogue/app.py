"""Starts the catalogue service: opens the stores and connects the parts."""

import gc
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.artefacts.media import CopyTheAudio, MediaQueries
from k1_catalogue.beats.editor import BeatEditor
from k1_catalogue.beats.graph_versions import GraphVersions
from k1_catalogue.beats.queries import BeatQueries
from k1_catalogue.beats.store import current_override, version_edits
from k1_catalogue.beats.version_builder import VersionBuilder
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.database import SCHEMA
from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.deployments.event_handlers import DeploymentEventHandlers
from k1_catalogue.deployments.store import newest_deployments
from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_catalogue.graphs.show_builder import ShowBuilder
from k1_catalogue.handlers import ArtefactQueries, consume_events, serve_queries
from k1_catalogue.history.queries import HistoryQueries
from k1_catalogue.jobs.cost import Prices
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.metrics import JobMetrics
from k1_catalogue.jobs.moves import JobMoves
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.jobs.retention import JobRetention
from k1_catalogue.jobs.store import count_by_status
from k1_catalogue.maps.store import MapStore
from k1_catalogue.settings import CatalogueSettings
from k1_catalogue.similarity.queries import SimilarQueries
from k1_catalogue.storage.cleanup import Cleaner
from k1_catalogue.storage.cleanup_plan import CleanupRules
from k1_catalogue.storage.queries import StorageGauges, StorageQueries
from k1_catalogue.storage.store import UsageTables
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.upload_handlers import TrackUploadHandlers
from k1_contracts import streams
from k1_contracts.durables import CATALOGUE
from k1_contracts.messages.catalogue.beats import BEATS_APPLY, ApplyBeats, BeatsApplied
from k1_contracts.messages.catalogue.graphs import GRAPH_RUN, GraphSimulated, SimulateGraph
from k1_contracts.messages.catalogue.media import AUDIO_COPY, AudioCopied, CopyAudio
from k1_platform.auth.signing import load_keys
from k1_platform.nats.bus.health import durable_check
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.nats.queries.rpc import request
from k1_platform.postgres.maintenance import Maintenance
from k1_platform.postgres.outbox import OutboxRelay
from k1_platform.postgres.pool import TRANSIENT_ERRORS, Pool, check_database, open_pool
from k1_platform.service import Runtime, run_service
from k1_platform.settings import MongoSettings, ObjectStoreSettings, PostgresSettings, SigningSettings
from k1_platform.storage.objects import ObjectStore

_RUN_TIMEOUT_S: Final = 60.0
"""Longer than a worker allows for a run, so that the worker's own error arrives."""
_APPLY_TIMEOUT_S: Final = 30.0
_COPY_TIMEOUT_S: Final = 55.0
"""For the map and the show with other beats: about a second for four minutes of music, if a worker is free."""
_GC_THRESHOLD: Final = 200_000
"""Objects between garbage collections. Validating a 4-minute map creates 80,000 objects at once.

That takes 0.2 s with Python's default of 700 and 0.05 s with this. Other queries wait during the validation.
"""


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime) -> None:
    """Open the stores, register the handlers, start the background tasks and add the readiness checks."""
    settings = CatalogueSettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    maps = MapStore.connect(MongoSettings())
    runtime.cleanup.callback(maps.close)
    objects = ObjectStore(ObjectStoreSettings(), runtime.registry)
    runtime.cleanup.callback(objects.close)
    jetstream, broker = runtime.bus.jetstream, runtime.bus.broker
    keys = load_keys(SigningSettings().signing_keys)
    shows = ShowBuilder(pool, objects, keys.signing)

    async def run_graph(query: SimulateGraph) -> GraphSimulated:
        return await request(broker, GRAPH_RUN, query, timeout_s=_RUN_TIMEOUT_S)

    cancels = await jetstream.key_value(streams.JOB_CANCELS.name)

    async def apply_beats(query: ApplyBeats) -> BeatsApplied:
        return await request(broker, BEATS_APPLY, query, timeout_s=_APPLY_TIMEOUT_S)

    async def copy_audio(query: CopyAudio) -> AudioCopied:
        return await request(broker, AUDIO_COPY, query, timeout_s=_COPY_TIMEOUT_S)

    prices = Prices(settings.price_cpu_hour, settings.price_gib_month, settings.price_keep_months)
    jobs = JobQueries(
        pool=pool,
        progress=await jetstream.key_value(streams.JOB_PROGRESS.name),
        cancels=cancels,
        prices=prices,
        max_unfinished=settings.max_unfinished_jobs,
        clock=_now,
    )
    places = await jetstream.key_value(streams.JOB_PLACES.name)
    tracks = TrackQueries(pool, maps, objects, newest_deployments, current_override, version_edits)
    edits = TrackEdits(pool, tracks, jobs.request_analysis, cancels, _now)
    maintenance_mode = MaintenanceMode(jetstream)
    storage = _storage_queries(pool, objects, settings, runtime, maintenance_mode)
    writer = VersionWriter(pool, maps, VersionBuilder(objects, shows))
    consume_events(
        runtime.bus,
        uploads=TrackUploadHandlers(pool),
        jobs=JobEventHandlers(pool, maps, objects, shows, JobMetrics(runtime.registry, prices)),
        deployments=DeploymentEventHandlers(pool),
        workers=settings.consumers,
    )
    serve_queries(
        runtime.bus,
        tracks=tracks,
        edits=edits,
        batches=TrackBatches(pool, edits, jobs.request_analysis, _now),
        history=HistoryQueries(pool),
        jobs=jobs,
        moves=JobMoves(pool, places, jobs.get_job, _now),
        graphs=GraphQueries(pool, objects, shows, run_graph, _now),
        bundles=BundleQueries(pool, objects),
        similar=SimilarQueries(pool, maps),
        reference=ReferenceQueries.of(keys.private),
        artefacts=_artefact_queries(pool, objects, settings, copy_audio),
        storage=storage,
        beats=BeatQueries(pool, maps),
        editor=BeatEditor(writer, apply_beats, run_graph, _now),
        graph_versions=GraphVersions(writer, run_graph, _now),
    )
    runtime.background(OutboxRelay(pool, broker, SCHEMA, maintenance_mode.is_frozen).run, "outbox relay")
    purger = Purger(pool, maps, objects, _now, is_paused=maintenance_mode.keeps_objects)
    runtime.background(purger.run, "purge of deleted tracks")
    retention = JobRetention(pool, timedelta(days=settings.keep_jobs_days), _now)
    runtime.background(retention.run, "removal of old jobs")
    job_gauge = Gauge("k1_catalogue_jobs", "Analysis jobs by status", ["status"], registry=runtime.registry)
    maintenance = Maintenance(pool, SCHEMA, runtime.registry, job_gauge, count_by_status)
    runtime.background(maintenance.run, "maintenance")
    runtime.background(storage.run, "storage")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "mongo": maps.check,
        "objects": objects.check,
        "durable": durable_check(jetstream, CATALOGUE),
    }


def _artefact_queries(
    pool: Pool, objects: ObjectStore, settings: CatalogueSettings, copy_audio: CopyTheAudio
) -> ArtefactQueries:
    retention = timedelta(days=settings.keep_deleted_days)
    return ArtefactQueries(
        deletions=ArtefactDeletions(pool, _now, retention),
        links=LinkQueries(pool, objects, _now),
        media=MediaQueries(pool, objects, copy_audio),
    )


def _storage_queries(
    pool: Pool,
    objects: ObjectStore,
    settings: CatalogueSettings,
    runtime: Runtime,
    maintenance_mode: MaintenanceMode,
) -> StorageQueries:
    rules = CleanupRules(
        safety_age=timedelta(hours=settings.cleanup_min_age_hours),
        keep_replaced=timedelta(days=settings.keep_replaced_days),
    )
    tables = UsageTables(pool, timedelta(days=settings.keep_deleted_days))
    return StorageQueries(
        pool=pool,
        cleaner=Cleaner(objects, tables, rules, _now),
        clock=_now,
        gauges=StorageGauges(runtime.registry),
        quota_bytes=settings.storage_quota_bytes,
        disk=settings.storage_disk,
        is_paused=maintenance_mode.keeps_objects,
    )


def main() -> None:
    """Run the service until it is stopped."""
    gc.set_threshold(_GC_THRESHOLD)
    run_service("catalogue", CatalogueSettings(), wire, transient=TRANSIENT_ERRORS)
