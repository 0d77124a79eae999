"""Wires the analysis service: worker pools, job queue, worker, and handlers.

The service turns audio into artefacts. It owns no data: the catalogue keeps tracks and jobs. Its role says which part of
it this process runs: the front fills the queue and responds to queries, workers run the jobs.
"""

from functools import partial

from prometheus_client import Gauge

from k1_analysis.copies.audio_copier import AudioCopier
from k1_analysis.handlers import register
from k1_analysis.jobs.backlog import BacklogMetric
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
from k1_platform.nats.bus.health import durable_check
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
    """Open what the role of this process needs, register its handlers and start its background tasks."""
    bus = runtime.bus
    objects = ObjectStore(ObjectStoreSettings(), runtime.registry)
    runtime.cleanup.callback(objects.close)
    runtime.checks["object store"] = objects.check
    for durable in ANALYSIS_LANES:
        runtime.checks[f"durable {durable.name}"] = durable_check(bus.jetstream, durable)
    registry = WorkerRegistry(bus.jetstream, JobQueue(bus.client, bus.jetstream, runtime.draining))
    if settings.role != "worker":
        _wire_front(runtime, settings, objects, registry)
    if settings.role != "front":
        _wire_worker(runtime, settings, objects, registry)


def _wire_front(
    runtime: Runtime, settings: AnalysisSettings, objects: ObjectStore, registry: WorkerRegistry
) -> None:
    """Put jobs on the queue, respond to queries and export the backlog; one process at least always does this."""
    bus = runtime.bus
    pool = _start_pool(runtime, make_request_pool(settings))
    register(
        bus, registry, GraphSimulator(objects, pool), BeatApplier(objects, pool), AudioCopier(objects, pool)
    )
    runtime.checks[f"durable {ANALYSIS_INTAKE.name}"] = durable_check(bus.jetstream, ANALYSIS_INTAKE)
    backlog = BacklogMetric(bus.jetstream)
    runtime.registry.register(backlog)
    runtime.background(backlog.keep_current, "backlog")


def _wire_worker(
    runtime: Runtime, settings: AnalysisSettings, objects: ObjectStore, registry: WorkerRegistry
) -> None:
    """Run jobs; any number of processes may do this, also none."""
    bus = runtime.bus
    pool = _start_pool(runtime, make_job_pool(settings))
    worker = Worker(
        bus,
        registry.queue,
        Cancellations(bus.client, bus.jetstream),
        JobRunner(objects, pool, settings.max_minutes),
        JobMetrics(runtime.registry),
        pod=settings.pod,
        slots=settings.slots,
        stop_timeout_s=settings.stop_timeout_s,
    )
    runtime.background(partial(registry.keep_registered, worker, settings.pod), "presence")
    runtime.background(worker.run, "worker", cancel_interval_s=settings.stop_timeout_s + CANCEL_INTERVAL_S)
    busy = Gauge("k1_analysis_busy_slots", "Slots that analyse a song", registry=runtime.registry)
    busy.set_function(lambda: sum(slot.job_id is not None for slot in worker.slots))
    warm = Gauge(
        "k1_analysis_warm_children", "Worker processes waiting for a song", registry=runtime.registry
    )
    warm.set_function(lambda: pool.warm)


def _start_pool(runtime: Runtime, pool: WorkerPool) -> WorkerPool:
    runtime.cleanup.callback(pool.close)
    pool.start()
    return pool
