"""Every subject of the bus, once.

A fact is past tense, a command goes to one owner, a question is `rpc.<service>.<noun>.<verb>`,
live data may be lost and stands under `live.`.
"""

from typing import Final

TRACK_UPLOADED: Final = "track.uploaded"
ANALYSIS_REQUESTED: Final = "analysis.requested"
ANALYSIS_STARTED: Final = "analysis.started"
ANALYSIS_COMPLETED: Final = "analysis.completed"
ANALYSIS_FAILED: Final = "analysis.failed"
ANALYSIS_CANCELLED: Final = "analysis.cancelled"
DEPLOY_REQUESTED: Final = "deploy.requested"
DEPLOY_PROGRESSED: Final = "deploy.progressed"
DEPLOY_SUCCEEDED: Final = "deploy.succeeded"
DEPLOY_ROLLED_BACK: Final = "deploy.rolled_back"
DEPLOY_FAILED: Final = "deploy.failed"
DEVICE_ONLINE: Final = "device.online"
DEVICE_OFFLINE: Final = "device.offline"
DEVICE_ALARM: Final = "device.alarm"

RPC_TRACK_LIST: Final = "rpc.catalogue.track.list"
RPC_TRACK_GET: Final = "rpc.catalogue.track.get"
RPC_VERSION_GET: Final = "rpc.catalogue.version.get"
RPC_GENESIS_GET: Final = "rpc.catalogue.genesis.get"
RPC_ARTEFACT_LIST: Final = "rpc.catalogue.artefact.list"
RPC_JOB_LIST: Final = "rpc.catalogue.job.list"
RPC_JOB_GET: Final = "rpc.catalogue.job.get"
RPC_JOB_CANCEL: Final = "rpc.catalogue.job.cancel"
RPC_ANALYSIS_REQUEST: Final = "rpc.catalogue.analysis.request"
RPC_GRAPH_GET: Final = "rpc.catalogue.graph.get"
RPC_GRAPH_PUT: Final = "rpc.catalogue.graph.put"
RPC_GRAPH_SIMULATE: Final = "rpc.catalogue.graph.simulate"
RPC_NODE_LIST: Final = "rpc.catalogue.node.list"
RPC_KEY_LIST: Final = "rpc.catalogue.key.list"
RPC_BUNDLE_INFO: Final = "rpc.catalogue.bundle.get"
RPC_GRAPH_COMPARE: Final = "rpc.catalogue.graph.compare"
RPC_BUNDLE_GET: Final = "rpc.deploy.bundle.get"
RPC_DEPLOYMENT_PLAN: Final = "rpc.deploy.deployment.plan"
RPC_DEPLOYMENT_LIST: Final = "rpc.deploy.deployment.list"
RPC_DEPLOYMENT_GET: Final = "rpc.deploy.deployment.get"
RPC_DEPLOYMENT_CONTROL: Final = "rpc.deploy.deployment.control"
RPC_DEVICE_LIST: Final = "rpc.deploy.device.list"
RPC_DEVICE_GET: Final = "rpc.deploy.device.get"
RPC_DEVICE_ADD: Final = "rpc.deploy.device.add"
RPC_DEVICE_REVOKE: Final = "rpc.deploy.device.revoke"
RPC_WORKER_LIST: Final = "rpc.analysis.worker.list"
RPC_PRESET_LIST: Final = "rpc.analysis.preset.list"
RPC_GRAPH_RUN: Final = "rpc.analysis.graph.simulate"

HIGHEST_PRIORITY: Final = 10
LOWEST_PRIORITY: Final = 1
PRIORITIES: Final = range(HIGHEST_PRIORITY, LOWEST_PRIORITY - 1, -1)
"""Highest first: the order in which a worker looks for its next job."""

DEVICE_HELLOS: Final = "device.*.hello"
DEVICE_BYES: Final = "device.*.bye"
DEVICE_REPLIES: Final = "device.*.reply"
DEVICE_FETCHES: Final = "device.*.fetch"
DEVICE_ERROR_VERB: Final = "error"
"""After `command.<id>.`: what was wrong with a message of the device."""
TELEMETRY_ANY: Final = "telemetry.*"
LIVE_TRACKS_ANY: Final = "live.track.*"

DEAD_LETTERS: Final = "dlq"
ANALYSIS_JOBS_ANY: Final = "work.analysis.*"


def analysis_job(priority: int) -> str:
    """The subject on which a job of this priority (1-10, 10 first) waits for a worker."""
    return f"work.analysis.p{priority}"


def live_job(job_id: str) -> str:
    """Progress of one job, core NATS."""
    return f"live.job.{job_id}"


def live_deployment(deployment_id: str) -> str:
    """Steps of one deployment, core NATS."""
    return f"live.deploy.{deployment_id}"


def live_telemetry(device_id: str) -> str:
    """The newest reading of one device, core NATS."""
    return f"live.telemetry.{device_id}"


def live_track(track_id: str) -> str:
    """Readings and events of the devices that play a track; kept for ten minutes for those who missed some."""
    return f"live.track.{track_id}"


def command(device_id: str, verb: str) -> str:
    """A command to one device; `chunk`: the answer to its fetch; `error`: what was wrong with a message of it."""
    return f"command.{device_id}.{verb}"


def device(device_id: str, word: str) -> str:
    """What a device says: `hello`, `bye`, `reply` or `fetch`."""
    return f"device.{device_id}.{word}"


def telemetry(device_id: str) -> str:
    """A device's readings."""
    return f"telemetry.{device_id}"


def dead_letter(stream: str, durable: str) -> str:
    """Where a message that `durable` could not handle ends."""
    return f"{DEAD_LETTERS}.{stream}.{durable}"


def redrive(durable: str, subject: str) -> str:
    """Where a dead letter goes again so that only the durable which failed sees it."""
    return f"redrive.{durable}.{subject}"


def original(subject: str) -> str:
    """The subject a message was first published on, also when it is driven anew."""
    return subject.split(".", 2)[2] if subject.startswith("redrive.") else subject
