"""Every message of the bus in one table: what documents and contract tests are made from."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from k1_contracts import commands, events, graph_queries, queries, streams, subjects

Kind = Literal["fact", "command", "question", "live"]


@dataclass(frozen=True, slots=True)
class Message:
    """One subject, its body, and who sends and receives it."""

    subject: str
    model: type[BaseModel]
    kind: Kind
    summary: str
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    stream: str | None = None
    answer: type[BaseModel] | None = None

    @property
    def name(self) -> str:
        """The model's name: what schemas and examples are filed under."""
        return self.model.__name__


def _fact(subject: str, model: type[BaseModel], summary: str, sender: str, *receivers: str) -> Message:
    return Message(subject, model, "fact", summary, (sender,), receivers, streams.EVENTS)


def _question(
    subject: str, model: type[BaseModel], answer: type[BaseModel], summary: str, sender: str = "gateway"
) -> Message:
    owner = subject.split(".")[1]
    return Message(subject, model, "question", summary, (sender,), (owner,), answer=answer)


MESSAGES: tuple[Message, ...] = (
    _fact(
        subjects.TRACK_UPLOADED,
        events.TrackUploaded,
        "A song lies complete in the object store",
        "ingest",
        "analysis",
        "catalogue",
    ),
    Message(
        subjects.ANALYSIS_REQUESTED,
        commands.RequestAnalysis,
        "command",
        "Analyse a track again",
        ("catalogue",),
        ("analysis",),
        streams.EVENTS,
    ),
    Message(
        "work.analysis.p{priority}",
        commands.AnalysisJob,
        "command",
        "A job waits for a worker; one subject a priority",
        ("analysis",),
        ("analysis",),
        streams.ANALYSIS_WORK,
    ),
    _fact(
        subjects.ANALYSIS_STARTED, events.AnalysisStarted, "A worker took the job", "analysis", "catalogue"
    ),
    _fact(
        subjects.ANALYSIS_COMPLETED,
        events.AnalysisCompleted,
        "The artefacts of a version lie in the object store",
        "analysis",
        "catalogue",
    ),
    _fact(
        subjects.ANALYSIS_FAILED,
        events.AnalysisFailed,
        "A job ended without a map",
        "analysis",
        "catalogue",
    ),
    _fact(
        subjects.ANALYSIS_CANCELLED,
        events.AnalysisCancelled,
        "A person cancelled the job",
        "analysis",
        "catalogue",
    ),
    Message(
        "live.job.{job_id}",
        commands.JobProgress,
        "live",
        "How far a job is",
        ("analysis",),
        ("gateway",),
    ),
    _question(subjects.RPC_TRACK_LIST, queries.ListTracks, queries.TrackPage, "A page of tracks"),
    _question(subjects.RPC_TRACK_GET, queries.GetTrack, queries.TrackDetail, "A track and its versions"),
    _question(subjects.RPC_VERSION_GET, queries.GetVersion, queries.VersionDetail, "One version"),
    _question(subjects.RPC_ARTEFACT_LIST, queries.GetVersion, queries.ArtefactList, "A version's artefacts"),
    _question(subjects.RPC_JOB_LIST, queries.ListJobs, queries.JobPage, "The newest jobs"),
    _question(subjects.RPC_JOB_GET, queries.GetJob, queries.JobView, "One job"),
    _question(subjects.RPC_JOB_CANCEL, queries.GetJob, queries.JobView, "Cancel a job"),
    _question(
        subjects.RPC_ANALYSIS_REQUEST,
        queries.RequestTrackAnalysis,
        queries.AnalysisAccepted,
        "Ask for another analysis of a track",
    ),
    _question(subjects.RPC_WORKER_LIST, queries.ListWorkers, queries.WorkerList, "The analysis workers"),
    _question(
        subjects.RPC_GRAPH_GET, graph_queries.GetGraph, graph_queries.GraphView, "The graph of a version"
    ),
    _question(subjects.RPC_GRAPH_PUT, graph_queries.PutGraph, graph_queries.GraphSaved, "Edit the graph"),
    _question(
        subjects.RPC_GRAPH_SIMULATE,
        graph_queries.Simulate,
        graph_queries.Simulated,
        "Run a graph over the map of a version",
    ),
    _question(
        subjects.RPC_GRAPH_RUN,
        graph_queries.SimulateGraph,
        graph_queries.GraphSimulated,
        "Run a graph over a stored map, in a worker's child",
        sender="catalogue",
    ),
    _question(
        subjects.RPC_NODE_LIST, graph_queries.ListNodes, graph_queries.NodeCatalogue, "The node catalogue"
    ),
    _question(
        subjects.RPC_PRESET_LIST,
        graph_queries.ListPresets,
        graph_queries.PresetList,
        "The presets with their templates",
    ),
    _question(
        subjects.RPC_KEY_LIST,
        graph_queries.ListKeys,
        graph_queries.KeySet,
        "The public keys that bundles are signed with",
    ),
)
"""`rpc.catalogue.genesis.get` is not here: its answer is a gzipped map, described in `queries.GetGenesis`."""
