"""Every message of the bus in one table: what documents and contract tests are made from."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from k1_contracts import (
    bundles,
    commands,
    deployments,
    devices,
    events,
    fleet,
    graph,
    graph_queries,
    queries,
    streams,
    subjects,
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
    Message(
        subjects.DEPLOY_REQUESTED,
        deployments.RequestDeployment,
        "command",
        "Put a version on devices",
        ("gateway",),
        ("deploy",),
        streams.EVENTS,
    ),
    _fact(
        subjects.DEPLOY_PROGRESSED,
        deployments.DeployProgressed,
        "The status of a deployment changed",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_SUCCEEDED,
        deployments.DeploySucceeded,
        "The devices run the new bundle",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_ROLLED_BACK,
        deployments.DeployRolledBack,
        "The devices run what they ran before",
        "deploy",
        "catalogue",
    ),
    _fact(
        subjects.DEPLOY_FAILED,
        deployments.DeployFailed,
        "It ended before anything changed",
        "deploy",
        "catalogue",
    ),
    _fact(subjects.DEVICE_ONLINE, devices.DeviceOnline, "A device is there", "telemetry"),
    _fact(subjects.DEVICE_OFFLINE, devices.DeviceOffline, "A device is gone", "telemetry"),
    Message(
        subjects.DEVICE_ALARM,
        devices.DeviceAlarm,
        "fact",
        "A level was reached or left",
        ("telemetry", "deploy"),
        ("deploy",),
        streams.EVENTS,
    ),
    _told("hello", devices.DeviceHello, "At every connection", "deploy", "telemetry", stream=streams.DEVICES),
    _told("bye", devices.DeviceBye, "A clean end, or the last will", "telemetry", stream=streams.DEVICES),
    _told("reply", devices.DeviceReply, "An answer to a command", "deploy"),
    _told("fetch", devices.FetchChunk, "A part of a bundle, please", "deploy"),
    Message(
        subjects.telemetry("{device_id}"),
        devices.TelemetryBody,
        "link",
        "Readings of one device",
        ("device",),
        ("telemetry",),
        streams.TELEMETRY,
    ),
    _command("info", devices.Info, "Say what you are and hold"),
    _command("ping", devices.Ping, "Measure the clock"),
    _command("stage", devices.Stage, "Fetch and check a bundle"),
    _command("activate", devices.Activate, "Run a staged bundle from a moment on"),
    _command("deactivate", devices.Deactivate, "Run again what ran before"),
    _command("discard", devices.Discard, "Delete a bundle that does not run"),
    _command("trust", devices.Trust, "Replace the trusted keys"),
    _command("chunk", devices.ChunkHeader, "The head of a part of a bundle; a newline and the bytes follow"),
    Message(
        subjects.command("{device_id}", subjects.DEVICE_ERROR_VERB),
        devices.DeviceError,
        "link",
        "What was wrong with a message of the device",
        ("deploy", "telemetry"),
        ("device",),
    ),
    Message(
        subjects.live_telemetry("{device_id}"),
        devices.LiveSample,
        "live",
        "The newest reading of a device",
        ("telemetry",),
        ("gateway",),
    ),
    Message(
        subjects.live_track("{track_id}"),
        devices.LiveItem,
        "live",
        "Readings and events of the devices that play a track",
        ("telemetry", "deploy"),
        ("gateway",),
        streams.LIVE_TRACKS,
    ),
    Message(
        subjects.live_deployment("{deployment_id}"),
        deployments.DeploymentChange,
        "live",
        "Steps of a deployment",
        ("deploy",),
        ("gateway",),
    ),
    _question(
        subjects.RPC_BUNDLE_INFO,
        bundles.GetBundle,
        bundles.BundleInfo,
        "The bundle of a version and what the gates look at",
        sender="deploy",
    ),
    _question(
        subjects.RPC_GRAPH_COMPARE,
        bundles.CompareGraphs,
        graph.GraphImpact,
        "What changes for a device that runs another bundle",
        sender="deploy",
    ),
    _question(
        subjects.RPC_BUNDLE_GET,
        bundles.GetBundle,
        bundles.BundleView,
        "A bundle and the devices that could run it",
    ),
    _question(
        subjects.RPC_DEPLOYMENT_PLAN,
        deployments.PlanDeployment,
        deployments.DeploymentPlan,
        "What a deployment would do",
    ),
    _question(
        subjects.RPC_DEPLOYMENT_LIST,
        deployments.ListDeployments,
        deployments.DeploymentPage,
        "The newest deployments",
    ),
    _question(
        subjects.RPC_DEPLOYMENT_GET, deployments.GetDeployment, deployments.DeploymentView, "One deployment"
    ),
    _question(
        subjects.RPC_DEPLOYMENT_CONTROL,
        deployments.ControlDeployment,
        deployments.DeploymentView,
        "Cancel, roll back, pause or resume",
    ),
    _question(subjects.RPC_DEVICE_LIST, fleet.ListDevices, fleet.DevicePage, "The devices"),
    _question(subjects.RPC_DEVICE_GET, fleet.GetDevice, fleet.DeviceView, "One device"),
    _question(
        subjects.RPC_DEVICE_ADD,
        fleet.AddDevices,
        fleet.DevicesAdded,
        "Provision devices",
        sender="k1",
    ),
    _question(
        subjects.RPC_DEVICE_REVOKE,
        fleet.RevokeDevices,
        fleet.DevicesRevoked,
        "Revoke devices' credentials",
        sender="k1",
    ),
)
"""`rpc.catalogue.genesis.get` is not here: its answer is a gzipped map, described in `queries.GetGenesis`."""
