"""The analysis service: from audio to artefacts. It owns nothing but the work."""

from prometheus_client import Gauge

from k1_analysis.cancels import Cancels
from k1_analysis.child_work import run_graph, warm_up, work
from k1_analysis.graph_runs import GraphRuns
from k1_analysis.handlers import intake_table
from k1_analysis.job_queue import JobQueue
from k1_analysis.presence import Presence
from k1_analysis.preset_list import list_presets
from k1_analysis.runner import JobRunner
from k1_analysis.settings import AnalysisSettings
from k1_analysis.worker import Worker
from k1_contracts import streams, subjects
from k1_contracts.messages.analysis import ListWorkers
from k1_contracts.messages.graphs import ListPresets, SimulateGraph
from k1_platform.children import ChildPool, Limits
from k1_platform.consuming import consume_table
from k1_platform.health import durable_check
from k1_platform.objects import ObjectStore
from k1_platform.rpc import answer
from k1_platform.service import Runtime
from k1_platform.settings import ObjectStoreSettings
from k1_platform.tasks import LEAVE_S

_MIB = 1024 * 1024
_PRELOAD = ("k1_analysis.child_work", "k1_analysis.engine.pipeline")
"""What the one fork server of this process imports, for every child to share."""


def make_children(settings: AnalysisSettings) -> ChildPool:
    """The processes in which songs are analysed and their shows made."""
    return ChildPool(
        work,
        size=settings.slots,
        limits=_limits(settings, settings.job_timeout_s),
        recycle_after=settings.recycle_after,
        warm_up=warm_up,
        preload=_PRELOAD,
    )


def make_graph_child(settings: AnalysisSettings) -> ChildPool:
    """The process in which the graphs are run that a person waits for; it never sees audio."""
    limits = _limits(settings, settings.simulate_timeout_s)
    return ChildPool(
        run_graph,
        size=1,
        limits=limits,
        recycle_after=settings.recycle_after,
        preload=_PRELOAD,
    )


def _limits(settings: AnalysisSettings, timeout_s: float) -> Limits:
    return Limits(
        timeout_s=timeout_s,
        memory_bytes=settings.memory_mib * _MIB,
        address_space_bytes=settings.address_space_mib * _MIB,
    )


async def wire(runtime: Runtime, settings: AnalysisSettings) -> None:
    """Open what the service needs and register its handlers."""
    bus = runtime.bus
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    children, graph_child = make_children(settings), make_graph_child(settings)
    for pool in (children, graph_child):
        runtime.cleanup.callback(pool.close)
        pool.start()

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
    answer(bus.broker, subjects.RPC_PRESET_LIST, ListPresets, list_presets)
    answer(bus.broker, subjects.RPC_GRAPH_RUN, SimulateGraph, GraphRuns(objects, graph_child).run)
    runtime.background(presence.tell, "presence")
    runtime.background(worker.run, "worker", leave_s=settings.stop_timeout_s + LEAVE_S)

    runtime.checks["object store"] = objects.check
    for durable in (streams.ANALYSIS_INTAKE, *streams.ANALYSIS_LANES):
        runtime.checks[f"durable {durable.name}"] = durable_check(bus.jetstream, durable)
    busy = Gauge("k1_analysis_busy_slots", "Slots that analyse a song", registry=runtime.registry)
    busy.set_function(lambda: sum(slot.job_id is not None for slot in worker.slots))
    warm = Gauge("k1_analysis_warm_children", "Child processes waiting for a song", registry=runtime.registry)
    warm.set_function(lambda: children.warm)
