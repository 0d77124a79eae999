"""Wires the analysis service: worker pools, job queue, worker, and handlers.

The service turns audio into artefacts. It owns no data: the catalogue keeps tracks and jobs.
"""

from prometheus_client import Gauge

from k1_analysis.copies.audio_copier import AudioCopier
from k1_analysis.handlers import register
from k1_analysis.jobs.cancellations import Cancellations
from k1_analysis.jobs.job_runner import JobRunner
from k1_analysis.jobs.metrics import JobMetrics
from k1_analysis.jobs.queue import JobQueue
from k1_analysis.jobs.tasks import run_task, warm_up
from k1_analysis.jobs.worker import Worker
from k1_analysis.jobs.worker_registry import WorkerRegistry
from k1_analysis.overrides.beat_applier import BeatApplier
from k1_analysis.overrides.tasks import run_on_request
from k1_analysis.settings import AnalysisSettings
from k1_analysis.shows.graph_simulator import GraphSimulator
from k1_contracts.durables import ANALYSIS_INTAKE, ANALYSIS_LANES
from k1_platform.nats.health import durable_check
from k1_platform.processes.tasks import CANCEL_INTERVAL_S
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerLimits
from k1_platform.service import Runtime
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore

_MIB = 1024 * 1024
_REQUESTS_AT_ONCE = 2
"""A long simulation must not hold up a person who corrects beats."""
_PRELOAD = ("k1_analysis.overrides.tasks", "k1_analysis.engine.pipeline")
"""The modules that the fork server imports once, so that all worker processes share their memory."""


def make_job_pool(settings: AnalysisSettings) -> WorkerPool:
    """Return the pool of the worker processes that analyse songs and make their shows."""
    return WorkerPool(
        run_task,
        size=settings.slots,
        limits=_limits(settings, settings.job_timeout_s),
        recycle_after=settings.recycle_after,
        warm_up=warm_up,
        preload=_PRELOAD,
    )


def make_request_pool(settings: AnalysisSettings) -> WorkerPool:
    """Return the pool of the worker processes that run graphs, change beats and copy audio on request."""
    limits = _limits(settings, settings.simulate_timeout_s)
    return WorkerPool(
        run_on_request,
        size=_REQUESTS_AT_ONCE,
        limits=limits,
        recycle_after=settings.recycle_after,
        preload=_PRELOAD,
    )


def _limits(settings: AnalysisSettings, timeout_s: float) -> WorkerLimits:
    return WorkerLimits(
        timeout_s=timeout_s,
        memory_bytes=settings.memory_mib * _MIB,
        address_space_bytes=settings.address_space_mib * _MIB,
    )


async def wire(runtime: Runtime, settings: AnalysisSettings) -> None:
    """Open what the service needs, register its handlers and start its background tasks."""
    bus = runtime.bus
    objects = ObjectStore(ObjectStoreSettings(), runtime.registry)
    runtime.cleanup.callback(objects.close)
    job_pool, request_pool = make_job_pool(settings), make_request_pool(settings)
    for pool in (job_pool, request_pool):
        runtime.cleanup.callback(pool.close)
        pool.start()

    queue = JobQueue(bus.client, bus.jetstream)
    worker = Worker(
        bus,
        queue,
        Cancellations(bus.client, bus.jetstream),
        JobRunner(objects, job_pool, settings.max_minutes),
        JobMetrics(runtime.registry),
        pod=settings.pod,
        slots=settings.slots,
        stop_timeout_s=settings.stop_timeout_s,
    )
    registry = WorkerRegistry(bus.jetstream, queue, worker, settings.pod)

    register(
        bus,
        registry,
        GraphSimulator(objects, request_pool),
        BeatApplier(objects, request_pool),
        AudioCopier(objects, request_pool),
    )
    runtime.background(registry.keep_registered, "presence")
    runtime.background(worker.run, "worker", cancel_interval_s=settings.stop_timeout_s + CANCEL_INTERVAL_S)

    runtime.checks["object store"] = objects.check
    for durable in (ANALYSIS_INTAKE, *ANALYSIS_LANES):
        runtime.checks[f"durable {durable.name}"] = durable_check(bus.jetstream, durable)
    busy = Gauge("k1_analysis_busy_slots", "Slots that analyse a song", registry=runtime.registry)
    busy.set_function(lambda: sum(slot.job_id is not None for slot in worker.slots))
    warm = Gauge(
        "k1_analysis_warm_children", "Worker processes waiting for a song", registry=runtime.registry
    )
    warm.set_function(lambda: job_pool.warm)
