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
RPC_WORKER_LIST: Final = "rpc.analysis.worker.list"
RPC_PRESET_LIST: Final = "rpc.analysis.preset.list"
RPC_GRAPH_RUN: Final = "rpc.analysis.graph.simulate"

HIGHEST_PRIORITY: Final = 10
LOWEST_PRIORITY: Final = 1
PRIORITIES: Final = range(HIGHEST_PRIORITY, LOWEST_PRIORITY - 1, -1)
"""Highest first: the order in which a worker looks for its next job."""

DEAD_LETTERS: Final = "dlq"
ANALYSIS_JOBS_ANY: Final = "work.analysis.*"


def analysis_job(priority: int) -> str:
    """The subject on which a job of this priority (1-10, 10 first) waits for a worker."""
    return f"work.analysis.p{priority}"


def live_job(job_id: str) -> str:
    """Progress of one job, core NATS."""
    return f"live.job.{job_id}"


def dead_letter(stream: str, durable: str) -> str:
    """Where a message that `durable` could not handle ends."""
    return f"{DEAD_LETTERS}.{stream}.{durable}"


def redrive(durable: str, subject: str) -> str:
    """Where a dead letter goes again so that only the durable which failed sees it."""
    return f"redrive.{durable}.{subject}"


def original(subject: str) -> str:
    """The subject a message was first published on, also when it is driven anew."""
    return subject.split(".", 2)[2] if subject.startswith("redrive.") else subject
