"""The index of the service: every subject and what handles it."""

from typing import Any

from k1_catalogue.bundles import Bundles
from k1_catalogue.deployment_intake import DeploymentIntake
from k1_catalogue.graphs import Graphs
from k1_catalogue.intake import Intake
from k1_catalogue.job_questions import JobQuestions
from k1_catalogue.questions import Questions
from k1_catalogue.reference import Reference
from k1_contracts import streams, subjects
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
from k1_platform.broker import Bus
from k1_platform.consuming import Handler, consume_table
from k1_platform.database import TRANSIENT_ERRORS
from k1_platform.rpc import answer
from k1_platform.rpc_documents import answer_document


def consume_facts(bus: Bus, intake: Intake, deployed: DeploymentIntake, *, workers: int) -> None:
    """Subscribe to the facts that change the catalogue."""
    table: dict[str, Handler[Any]] = {
        subjects.TRACK_UPLOADED: Handler(TrackUploaded, intake.track_uploaded),
        subjects.ANALYSIS_STARTED: Handler(AnalysisStarted, intake.analysis_started),
        subjects.ANALYSIS_COMPLETED: Handler(AnalysisCompleted, intake.analysis_completed),
        subjects.ANALYSIS_FAILED: Handler(AnalysisFailed, intake.analysis_failed),
        subjects.ANALYSIS_CANCELLED: Handler(AnalysisCancelled, intake.analysis_cancelled),
        subjects.DEPLOY_PROGRESSED: Handler(DeployProgressed, deployed.record),
        subjects.DEPLOY_SUCCEEDED: Handler(DeploySucceeded, deployed.record),
        subjects.DEPLOY_ROLLED_BACK: Handler(DeployRolledBack, deployed.record),
        subjects.DEPLOY_FAILED: Handler(DeployFailed, deployed.record),
    }
    consume_table(bus.broker, streams.CATALOGUE, table, workers=workers)


def answer_questions(
    bus: Bus,
    *,
    questions: Questions,
    jobs: JobQuestions,
    graphs: Graphs,
    bundles: Bundles,
    reference: Reference,
) -> None:
    """Subscribe to the questions of the gateway and of deploy."""
    table: dict[str, tuple[type[Any], Any]] = {
        subjects.RPC_TRACK_LIST: (ListTracks, questions.list_tracks),
        subjects.RPC_TRACK_GET: (GetTrack, questions.get_track),
        subjects.RPC_VERSION_GET: (GetVersion, questions.get_version),
        subjects.RPC_ARTEFACT_LIST: (GetVersion, questions.list_artefacts),
        subjects.RPC_JOB_LIST: (ListJobs, jobs.list_jobs),
        subjects.RPC_JOB_GET: (GetJob, jobs.get_job),
        subjects.RPC_JOB_CANCEL: (GetJob, jobs.cancel_job),
        subjects.RPC_ANALYSIS_REQUEST: (RequestTrackAnalysis, jobs.request_analysis),
        subjects.RPC_GRAPH_GET: (GetGraph, graphs.get_graph),
        subjects.RPC_GRAPH_PUT: (PutGraph, graphs.put_graph),
        subjects.RPC_GRAPH_SIMULATE: (Simulate, graphs.simulate),
        subjects.RPC_NODE_LIST: (ListNodes, reference.list_nodes),
        subjects.RPC_KEY_LIST: (ListKeys, reference.list_keys),
        subjects.RPC_BUNDLE_INFO: (GetBundle, bundles.get_bundle),
        subjects.RPC_GRAPH_COMPARE: (CompareGraphs, bundles.compare),
    }
    for subject, (model, function) in table.items():
        answer(bus.broker, subject, model, function, transient=TRANSIENT_ERRORS)
    answer_document(
        bus, subjects.RPC_GENESIS_GET, GetGenesis, questions.get_genesis, transient=TRANSIENT_ERRORS
    )
