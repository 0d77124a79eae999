"""The index of the catalogue: every event that it consumes and every query that it answers."""

from typing import Any

from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.deployments.event_handlers import DeploymentEventHandlers
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts import deployments as deployment_events
from k1_contracts import events, graph_queries, queries, streams, subjects
from k1_contracts.bundles import CompareGraphs, GetBundle
from k1_platform.broker import Bus
from k1_platform.consuming import Handler, consume_table
from k1_platform.database import TRANSIENT_ERRORS
from k1_platform.rpc import answer
from k1_platform.rpc_documents import answer_document


def consume_events(
    bus: Bus, *, jobs: JobEventHandlers, deployments: DeploymentEventHandlers, workers: int
) -> None:
    """Consume the events on the durable `catalogue`, at most `workers` at a time."""
    table: dict[str, Handler[Any]] = {
        subjects.TRACK_UPLOADED: Handler(events.TrackUploaded, jobs.handle_track_uploaded),
        subjects.ANALYSIS_STARTED: Handler(events.AnalysisStarted, jobs.handle_started),
        subjects.ANALYSIS_COMPLETED: Handler(events.AnalysisCompleted, jobs.handle_completed),
        subjects.ANALYSIS_FAILED: Handler(events.AnalysisFailed, jobs.handle_failed),
        subjects.ANALYSIS_CANCELLED: Handler(events.AnalysisCancelled, jobs.handle_cancelled),
        subjects.DEPLOY_PROGRESSED: Handler(deployment_events.DeployProgressed, deployments.handle_event),
        subjects.DEPLOY_SUCCEEDED: Handler(deployment_events.DeploySucceeded, deployments.handle_event),
        subjects.DEPLOY_ROLLED_BACK: Handler(deployment_events.DeployRolledBack, deployments.handle_event),
        subjects.DEPLOY_FAILED: Handler(deployment_events.DeployFailed, deployments.handle_event),
    }
    consume_table(bus.broker, streams.CATALOGUE, table, workers=workers)


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
        subjects.RPC_TRACK_LIST: (queries.ListTracks, tracks.list_tracks),
        subjects.RPC_TRACK_GET: (queries.GetTrack, tracks.get_track),
        subjects.RPC_VERSION_GET: (queries.GetVersion, tracks.get_version),
        subjects.RPC_ARTEFACT_LIST: (queries.GetVersion, tracks.list_artefacts),
        subjects.RPC_JOB_LIST: (queries.ListJobs, jobs.list_jobs),
        subjects.RPC_JOB_GET: (queries.GetJob, jobs.get_job),
        subjects.RPC_JOB_CANCEL: (queries.GetJob, jobs.cancel_job),
        subjects.RPC_ANALYSIS_REQUEST: (queries.RequestTrackAnalysis, jobs.request_analysis),
        subjects.RPC_GRAPH_GET: (graph_queries.GetGraph, graphs.get_graph),
        subjects.RPC_GRAPH_PUT: (graph_queries.PutGraph, graphs.put_graph),
        subjects.RPC_GRAPH_SIMULATE: (graph_queries.Simulate, graphs.simulate),
        subjects.RPC_NODE_LIST: (graph_queries.ListNodes, reference.list_node_types),
        subjects.RPC_KEY_LIST: (graph_queries.ListKeys, reference.list_keys),
        subjects.RPC_BUNDLE_INFO: (GetBundle, bundles.get_bundle),
        subjects.RPC_GRAPH_COMPARE: (CompareGraphs, bundles.compare_graphs),
    }
    for subject, (model, function) in table.items():
        answer(bus.broker, subject, model, function, transient=TRANSIENT_ERRORS)
    # The only query whose response is a document: compressed, and with an entity tag.
    answer_document(
        bus, subjects.RPC_GENESIS_GET, queries.GetGenesis, tracks.get_genesis, transient=TRANSIENT_ERRORS
    )
