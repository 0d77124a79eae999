"""The analysis service: from audio to artefacts. It owns nothing but the work."""

from prometheus_client import Gauge

from k1_analysis.cancels import Cancels
from k1_analysis.child_work import analyse, warm_up
from k1_analysis.handlers import intake_table
from k1_analysis.job_queue import JobQueue
from k1_analysis.presence import Presence
from k1_analysis.runner import JobRunner
from k1_analysis.settings import AnalysisSettings
from k1_analysis.worker import Worker
from k1_contracts import streams, subjects
from k1_contracts.queries import ListWorkers
from k1_platform.children import ChildPool, Limits
from k1_platform.consuming import consume_table
from k1_platform.health import durable_check
from k1_platform.objects import ObjectStore
from k1_platform.rpc import answer
from k1_platform.service import Runtime
from k1_platform.settings import ObjectStoreSettings

_MIB = 1024 * 1024


def make_children(settings: AnalysisSettings) -> ChildPool:
    """The processes in which songs are analysed."""
    limits = Limits(
        timeout_s=settings.job_timeout_s,
        memory_bytes=settings.memory_mib * _MIB,
        address_space_bytes=settings.address_space_mib * _MIB,
    )
    return ChildPool(
        analyse,
        size=settings.slots,
        limits=limits,
        recycle_after=settings.recycle_after,
        warm_up=warm_up,
        preload=["k1_analysis.child_work"],
    )


async def wire(runtime: Runtime, settings: AnalysisSettings) -> None:
    """Open what the service needs and register its handlers."""
    bus = runtime.bus
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    children = make_children(settings)
    runtime.cleanup.callback(children.close)
    children.start()

    queue = JobQueue(bus.client, bus.jetstream)
    worker = Worker(
        bus,
        queue,
        Cancels(bus.client, bus.jetstream),
        JobRunner(objects, children, settings.max_minutes),
        pod=settings.pod,
        slots=settings.slots,
        stop_timeout_s=settings.stop_timeout_s,
    )
    presence = Presence(bus.jetstream, queue, worker, settings.pod)

    consume_table(bus.broker, streams.ANALYSIS_INTAKE, intake_table(bus.jetstream), workers=16)
    answer(bus.broker, subjects.RPC_WORKER_LIST, ListWorkers, presence.list)
    runtime.background(presence.tell, "presence")
    runtime.background(worker.run, "worker")

    runtime.checks["object store"] = objects.check
    for durable in (streams.ANALYSIS_INTAKE, *streams.ANALYSIS_LANES):
        runtime.checks[f"durable {durable.name}"] = durable_check(bus.jetstream, durable)
    busy = Gauge("k1_analysis_busy_slots", "Slots that analyse a song", registry=runtime.registry)
    busy.set_function(lambda: sum(slot.job_id is not None for slot in worker.slots))
    warm = Gauge("k1_analysis_warm_children", "Child processes waiting for a song", registry=runtime.registry)
    warm.set_function(lambda: children.warm)
