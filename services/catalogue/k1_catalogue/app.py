"""The composition root: settings in, connections opened, handlers wired."""

from datetime import UTC, datetime

from prometheus_client import Gauge

from k1_catalogue import jobs as jobs_table
from k1_catalogue.bundles import Bundles
from k1_catalogue.deployment_intake import DeploymentIntake
from k1_catalogue.graphs import Graphs
from k1_catalogue.handlers import answer_questions, consume_facts
from k1_catalogue.intake import Intake
from k1_catalogue.job_questions import JobQuestions
from k1_catalogue.maps import GenesisMaps
from k1_catalogue.questions import Questions
from k1_catalogue.reference import Reference
from k1_catalogue.settings import CatalogueSettings
from k1_catalogue.show_files import ShowFiles
from k1_catalogue.store import SCHEMA
from k1_contracts import streams, subjects
from k1_contracts.messages.graphs import GraphSimulated, SimulateGraph
from k1_platform.database import check_database, open_pool
from k1_platform.health import durable_check
from k1_platform.objects import ObjectStore
from k1_platform.outbox import OutboxRelay
from k1_platform.rpc import ask
from k1_platform.service import Runtime
from k1_platform.settings import MongoSettings, ObjectStoreSettings, PostgresSettings, SigningSettings
from k1_platform.signing import load_keys
from k1_platform.upkeep import Upkeep

_RUN_TIMEOUT_S = 60.0
"""More than a worker allows a run, so that the worker's own word arrives."""


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime) -> None:
    """Open the stores, then register what is consumed, answered, published and checked."""
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    maps = GenesisMaps(MongoSettings())
    runtime.cleanup.callback(maps.close)
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    jetstream, broker = runtime.bus.jetstream, runtime.bus.broker
    keys = load_keys(SigningSettings().signing_keys)
    shows = ShowFiles(pool, objects, keys.signing)

    async def run_graph(question: SimulateGraph) -> GraphSimulated:
        return await ask(broker, subjects.RPC_GRAPH_RUN, question, GraphSimulated, timeout_s=_RUN_TIMEOUT_S)

    jobs = JobQuestions(
        pool=pool,
        progress=await jetstream.key_value(streams.JOB_PROGRESS.name),
        cancels=await jetstream.key_value(streams.JOB_CANCELS.name),
        clock=_now,
    )
    consume_facts(
        runtime.bus,
        Intake(pool, maps, objects, shows),
        DeploymentIntake(pool),
        workers=CatalogueSettings().consumers,
    )
    answer_questions(
        runtime.bus,
        questions=Questions(pool, maps, objects),
        jobs=jobs,
        graphs=Graphs(pool, objects, shows, run_graph, _now),
        bundles=Bundles(pool, objects),
        reference=Reference.of(keys.private),
    )
    runtime.background(OutboxRelay(pool, broker, SCHEMA).run, "outbox relay")
    counted = Gauge("k1_catalogue_jobs", "Analysis jobs by status", ["status"], registry=runtime.registry)
    upkeep = Upkeep(pool, SCHEMA, runtime.registry, counted, jobs_table.count_by_status)
    runtime.background(upkeep.run, "upkeep")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "mongo": maps.check,
        "objects": objects.check,
        "durable": durable_check(jetstream, streams.CATALOGUE),
    }
