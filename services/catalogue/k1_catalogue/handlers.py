"""The index of the catalogue: every event that it consumes and every query that it answers."""

from typing import Any

from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.deployments.event_handlers import DeploymentEventHandlers
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts import subjects
from k1_contracts.durables import CATALOGUE
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
    GetJob,
    ListJobs,
    RequestTrackAnalysis,
)
from k1_contracts.messages.bundles import CompareGraphs, GetBundle
from k1_contracts.messages.deployments import (
    DeployFailed,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
)
from k1_contracts.messages.graphs import GetGraph, ListKeys, ListNodes, PutGraph, Simulate
from k1_contracts.messages.tracks import GetGenesis, GetTrack, GetVersion, ListTracks, TrackUploaded
from k1_platform.nats.client import Bus
from k1_platform.nats.consumers import Handler, consume_table
from k1_platform.nats.rpc import respond
from k1_platform.nats.rpc_documents import respond_with_document
from k1_platform.postgres.pool import TRANSIENT_ERRORS


def consume_events(
    bus: Bus, *, jobs: JobEventHandlers, deployments: DeploymentEventHandlers, workers: int
) -> None:
    """Consume the events on the durable `catalogue`, at most `workers` at a time."""
    table: dict[str, Handler[Any]] = {
        subjects.TRACK_UPLOADED: Handler(TrackUploaded, jobs.handle_track_uploaded),
        subjects.ANALYSIS_STARTED: Handler(AnalysisStarted, jobs.handle_started),
        subjects.ANALYSIS_COMPLETED: Handler(AnalysisCompleted, jobs.handle_completed),
        subjects.ANALYSIS_FAILED: Handler(AnalysisFailed, jobs.handle_failed),
        subjects.ANALYSIS_CANCELLED: Handler(AnalysisCancelled, jobs.handle_cancelled),
        subjects.DEPLOY_PROGRESSED: Handler(DeployProgressed, deployments.handle_event),
        subjects.DEPLOY_SUCCEEDED: Handler(DeploySucceeded, deployments.handle_event),
        subjects.DEPLOY_ROLLED_BACK: Handler(DeployRolledBack, deployments.handle_event),
        subjects.DEPLOY_FAILED: Handler(DeployFailed, deployments.handle_event),
    }
    consume_table(bus.broker, CATALOGUE, table, workers=workers)


def serve_queries(
    bus: Bus,
    *,
    tracks: TrackQueries,
    jobs: JobQueries,
    graphs: GraphQueries,
    bundles: BundleQueries,
    reference: ReferenceQueries,
) -> None:
    """Answer the queries of the gateway and of deploy."""
    table: dict[str, tuple[type[Any], Any]] = {
        subjects.RPC_TRACK_LIST: (ListTracks, tracks.list_tracks),
        subjects.RPC_TRACK_GET: (GetTrack, tracks.get_track),
        subjects.RPC_VERSION_GET: (GetVersion, tracks.get_version),
        subjects.RPC_ARTEFACT_LIST: (GetVersion, tracks.list_artefacts),
        subjects.RPC_JOB_LIST: (ListJobs, jobs.list_jobs),
        subjects.RPC_JOB_GET: (GetJob, jobs.get_job),
        subjects.RPC_JOB_CANCEL: (GetJob, jobs.cancel_job),
        subjects.RPC_ANALYSIS_REQUEST: (RequestTrackAnalysis, jobs.request_analysis),
        subjects.RPC_GRAPH_GET: (GetGraph, graphs.get_graph),
        subjects.RPC_GRAPH_PUT: (PutGraph, graphs.put_graph),
        subjects.RPC_GRAPH_SIMULATE: (Simulate, graphs.simulate),
        subjects.RPC_NODE_LIST: (ListNodes, reference.list_node_types),
        subjects.RPC_KEY_LIST: (ListKeys, reference.list_keys),
        subjects.RPC_BUNDLE_INFO: (GetBundle, bundles.get_bundle),
        subjects.RPC_GRAPH_COMPARE: (CompareGraphs, bundles.compare_graphs),
    }
    for subject, (model, function) in table.items():
        respond(bus.broker, subject, model, function, transient=TRANSIENT_ERRORS)
    # The only query whose response is a document: compressed, and with an entity tag.
    respond_with_document(
        bus, subjects.RPC_GENESIS_GET, GetGenesis, tracks.get_genesis, transient=TRANSIENT_ERRORS
    )
