"""Every message of the bus in one table: what documents and contract tests are made from."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from k1_contracts import (
    graph,
    streams,
    subjects,
)
from k1_contracts.messages.analysis import (
    AnalysisAccepted,
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
    AnalysisStarted,
    GetJob,
    JobPage,
    JobProgress,
    JobView,
    ListJobs,
    ListWorkers,
    RequestAnalysis,
    RequestTrackAnalysis,
    WorkerList,
)
from k1_contracts.messages.bundles import BundleInfo, BundleView, CompareGraphs, GetBundle
from k1_contracts.messages.deployment_queries import (
    ControlDeployment,
    DeploymentPage,
    DeploymentPlan,
    DeploymentView,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.deployments import (
    DeployFailed,
    DeploymentChange,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    RequestDeployment,
)
from k1_contracts.messages.device_link import (
    Activate,
    ChunkHeader,
    Deactivate,
    DeviceBye,
    DeviceError,
    DeviceHello,
    DeviceReply,
    Discard,
    FetchChunk,
    Info,
    Ping,
    Stage,
    Trust,
)
from k1_contracts.messages.devices import (
    AddDevices,
    DevicePage,
    DevicesAdded,
    DevicesRevoked,
    DeviceView,
    GetDevice,
    ListDevices,
    RevokeDevices,
)
from k1_contracts.messages.graphs import (
    GetGraph,
    GraphSaved,
    GraphSimulated,
    GraphView,
    KeySet,
    ListKeys,
    ListNodes,
    ListPresets,
    NodeCatalogue,
    PresetList,
    PutGraph,
    Simulate,
    Simulated,
    SimulateGraph,
)
from k1_contracts.messages.telemetry import (
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    LiveItem,
    LiveSample,
    TelemetryBody,
)
from k1_contracts.messages.tracks import (
    ArtefactList,
    GetTrack,
    GetVersion,
    ListTracks,
    TrackDetail,
    TrackPage,
    TrackUploaded,
    VersionDetail,
)

Kind = Literal["fact", "command", "question", "live", "link"]
"""`link`: between a device and the services, without an envelope."""


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


def _told(
    word: str, model: type[BaseModel], summary: str, *receivers: str, stream: str | None = None
) -> Message:
    subject = subjects.device("{device_id}", word)
    return Message(subject, model, "link", summary, ("device",), receivers, stream)


def _command(verb: str, model: type[BaseModel], summary: str) -> Message:
    return Message(subjects.command("{device_id}", verb), model, "link", summary, ("deploy",), ("device",))


MESSAGES: tuple[Message, ...] = (
    _fact(
        subjects.TRACK_UPLOADED,
        TrackUploaded,
        "A song lies complete in the object store",
        "ingest",
        "analysis",
        "catalogue",
    ),
    Message(
        subjects.ANALYSIS_REQUESTED,
        RequestAnalysis,
        "command",
        "Analyse a track again",
        ("catalogue",),
        ("analysis",),
        streams.EVENTS,
    ),
    Message(
        "work.analysis.p{priority}",
        AnalysisJob,
        "command",
        "A job waits for a worker; one subject a priority",
        ("analysis",),
        ("analysis",),
        streams.ANALYSIS_WORK,
    ),
    _fact(subjects.ANALYSIS_STARTED, AnalysisStarted, "A worker took the job", "analysis", "catalogue"),
    _fact(
        subjects.ANALYSIS_COMPLETED,
        AnalysisCompleted,
        "The artefacts of a version lie in the object store",
        "analysis",
        "catalogue",
    ),
    _fact(
        subjects.ANALYSIS_FAILED,
        AnalysisFailed,
        "A job ended without a map",
        "analysis",
        "catalogue",
    ),
    _fact(
        subjects.ANALYSIS_CANCELLED,
        AnalysisCancelled,
        "A person cancelled the job",
        "analysis",
        "catalogue",
    ),
    Message(
        "live.job.{job_id}",
        JobProgress,
        "live",
        "How far a job is",
        ("analysis",),
        ("gateway",),
    ),
    _question(subjects.RPC_TRACK_LIST, ListTracks, TrackPage, "A page of tracks"),
    _question(subjects.RPC_TRACK_GET, GetTrack, TrackDetail, "A track and its versions"),
    _question(subjects.RPC_VERSION_GET, GetVersion, VersionDetail, "One version"),
    _question(subjects.RPC_ARTEFACT_LIST, GetVersion, ArtefactList, "A version's artefacts"),
    _question(subjects.RPC_JOB_LIST, ListJobs, JobPage, "The newest jobs"),
    _question(subjects.RPC_JOB_GET, GetJob, JobView, "One job"),
    _question(subjects.RPC_JOB_CANCEL, GetJob, JobView, "Cancel a job"),
    _question(
        subjects.RPC_ANALYSIS_REQUEST,
        RequestTrackAnalysis,
        AnalysisAccepted,
        "Ask for another analysis of a track",
    ),
    _question(subjects.RPC_WORKER_LIST, ListWorkers, WorkerList, "The analysis workers"),
    _question(subjects.RPC_GRAPH_GET, GetGraph, GraphView, "The graph of a version"),
    _question(subjects.RPC_GRAPH_PUT, PutGraph, GraphSaved, "Edit the graph"),
    _question(
        subjects.RPC_GRAPH_SIMULATE,
        Simulate,
        Simulated,
        "Run a graph over the map of a version",
    ),
    _question(
        subjects.RPC_GRAPH_RUN,
        SimulateGraph,
        GraphSimulated,
        "Run a graph over a stored map, in a worker's child",
        sender="catalogue",
    ),
    _question(subjects.RPC_NODE_LIST, ListNodes, NodeCatalogue, "The node catalogue"),
    _question(
        subjects.RPC_PRESET_LIST,
        ListPresets,
        PresetList,
        "The presets with their templates",
    ),
    _question(
        subjects.RPC_KEY_LIST,
        ListKeys,
        KeySet,
        "The public keys that bundles are signed with",
    ),
    Message(
        subjects.DEPLOY_REQUESTED,
        RequestDeployment,
        "command",
        "Put a version on devices",
        ("gateway",),
        ("deploy",),
        streams.EVENTS,
    ),
    _fact(
        subjects.DEPLOY_PROGRESSED,
        DeployProgressed,
        "The status of a deployment changed",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_SUCCEEDED,
        DeploySucceeded,
        "The devices run the new bundle",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_ROLLED_BACK,
        DeployRolledBack,
        "The devices run what they ran before",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_FAILED,
        DeployFailed,
        "It ended before anything changed",
        "deploy",
        "catalogue",
    ),
    _fact(subjects.DEVICE_ONLINE, DeviceOnline, "A device is there", "telemetry"),
    _fact(subjects.DEVICE_OFFLINE, DeviceOffline, "A device is gone", "telemetry"),
    Message(
        subjects.DEVICE_ALARM,
        DeviceAlarm,
        "fact",
        "A level was reached or left",
        ("telemetry", "deploy"),
        ("deploy",),
        streams.EVENTS,
    ),
    _told("hello", DeviceHello, "At every connection", "deploy", "telemetry", stream=streams.DEVICES),
    _told("bye", DeviceBye, "A clean end, or the last will", "telemetry", stream=streams.DEVICES),
    _told("reply", DeviceReply, "An answer to a command", "deploy"),
    _told("fetch", FetchChunk, "A part of a bundle, please", "deploy"),
    Message(
        subjects.telemetry("{device_id}"),
        TelemetryBody,
        "link",
        "Readings of one device",
        ("device",),
        ("telemetry",),
        streams.TELEMETRY,
    ),
    _command("info", Info, "Say what you are and hold"),
    _command("ping", Ping, "Measure the clock"),
    _command("stage", Stage, "Fetch and check a bundle"),
    _command("activate", Activate, "Run a staged bundle from a moment on"),
    _command("deactivate", Deactivate, "Run again what ran before"),
    _command("discard", Discard, "Delete a bundle that does not run"),
    _command("trust", Trust, "Replace the trusted keys"),
    _command("chunk", ChunkHeader, "The head of a part of a bundle; a newline and the bytes follow"),
    Message(
        subjects.command("{device_id}", subjects.DEVICE_ERROR_VERB),
        DeviceError,
        "link",
        "What was wrong with a message of the device",
        ("deploy", "telemetry"),
        ("device",),
    ),
    Message(
        subjects.live_telemetry("{device_id}"),
        LiveSample,
        "live",
        "The newest reading of a device",
        ("telemetry",),
        ("gateway",),
    ),
    Message(
        subjects.live_track("{track_id}"),
        LiveItem,
        "live",
        "Readings and events of the devices that play a track",
        ("telemetry", "deploy"),
        ("gateway",),
        streams.LIVE_TRACKS,
    ),
    Message(
        subjects.live_deployment("{deployment_id}"),
        DeploymentChange,
        "live",
        "Steps of a deployment",
        ("deploy",),
        ("gateway",),
    ),
    _question(
        subjects.RPC_BUNDLE_INFO,
        GetBundle,
        BundleInfo,
        "The bundle of a version and what the gates look at",
        sender="deploy",
    ),
    _question(
        subjects.RPC_GRAPH_COMPARE,
        CompareGraphs,
        graph.GraphImpact,
        "What changes for a device that runs another bundle",
        sender="deploy",
    ),
    _question(
        subjects.RPC_BUNDLE_GET,
        GetBundle,
        BundleView,
        "A bundle and the devices that could run it",
    ),
    _question(
        subjects.RPC_DEPLOYMENT_PLAN,
        PlanDeployment,
        DeploymentPlan,
        "What a deployment would do",
    ),
    _question(
        subjects.RPC_DEPLOYMENT_LIST,
        ListDeployments,
        DeploymentPage,
        "The newest deployments",
    ),
    _question(subjects.RPC_DEPLOYMENT_GET, GetDeployment, DeploymentView, "One deployment"),
    _question(
        subjects.RPC_DEPLOYMENT_CONTROL,
        ControlDeployment,
        DeploymentView,
        "Cancel, roll back, pause or resume",
    ),
    _question(subjects.RPC_DEVICE_LIST, ListDevices, DevicePage, "The devices"),
    _question(subjects.RPC_DEVICE_GET, GetDevice, DeviceView, "One device"),
    _question(
        subjects.RPC_DEVICE_ADD,
        AddDevices,
        DevicesAdded,
        "Provision devices",
        sender="k1",
    ),
    _question(
        subjects.RPC_DEVICE_REVOKE,
        RevokeDevices,
        DevicesRevoked,
        "Revoke devices' credentials",
        sender="k1",
    ),
)
"""`rpc.catalogue.genesis.get` is not here: its answer is a gzipped map, described in `GetGenesis`."""
