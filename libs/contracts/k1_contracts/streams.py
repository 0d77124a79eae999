"""Streams, durable consumers and key-value buckets: provisioned once, before any service starts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from k1_contracts import subjects

MIB = 1024 * 1024
DEVICE_MESSAGE_MAX_BYTES: Final = 64 * 1024
"""The longest message that a device may send; the server ends the connection of one that sends more."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream with limits retention."""

    name: str
    subjects: tuple[str, ...]
    description: str
    max_age: timedelta
    max_bytes: int
    duplicate_window: timedelta = timedelta(minutes=10)
    confirms: bool = True
    """Whether a publisher is told that its message is stored. The server tells it on whatever reply subject the
    message names, and asks no permission: where devices publish, one could make the server write to another's
    commands or to a key-value bucket. What a device says is not confirmed, it is said again."""
    max_msgs_per_subject: int = -1
    """So that one device cannot push out the messages of the others; -1 is no limit."""
    max_msg_bytes: int = -1


@dataclass(frozen=True, slots=True)
class Durable:
    """A pull consumer; `filters` are the subjects that its service handles."""

    stream: str
    name: str
    filters: tuple[str, ...]
    ack_wait: timedelta
    max_deliver: int = 6
    max_ack_pending: int = 10_000
    """Messages that wait for their next try count, so with a low limit some hopeless ones would hold up all others."""

    @property
    def filter_subjects(self) -> list[str]:
        """The handled subjects and those on which this durable's dead letters come back."""
        return [*self.filters, redrive_filter(self.name)]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A key-value bucket."""

    name: str
    description: str
    ttl: timedelta | None
    max_bytes: int = 256 * MIB


def redrive_filter(durable: str) -> str:
    """All that is driven anew for one durable."""
    return subjects.redrive(durable, ">")


EVENTS = "EVENTS"
ANALYSIS_WORK = "ANALYSIS_WORK"
DEAD_LETTERS = "DEAD_LETTERS"
ADVISORIES = "ADVISORIES"
DEVICES = "DEVICES"
TELEMETRY = "TELEMETRY"
LIVE_TRACKS = "LIVE_TRACKS"

CATALOGUE = Durable(
    EVENTS,
    "catalogue",
    (
        subjects.TRACK_UPLOADED,
        subjects.ANALYSIS_STARTED,
        subjects.ANALYSIS_COMPLETED,
        subjects.ANALYSIS_FAILED,
        subjects.ANALYSIS_CANCELLED,
        subjects.DEPLOY_PROGRESSED,
        subjects.DEPLOY_SUCCEEDED,
        subjects.DEPLOY_ROLLED_BACK,
        subjects.DEPLOY_FAILED,
    ),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)
ANALYSIS_INTAKE = Durable(
    EVENTS,
    "analysis-intake",
    (subjects.TRACK_UPLOADED, subjects.ANALYSIS_REQUESTED),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)


def analysis_lane(priority: int) -> Durable:
    """The durable of the jobs that wait with one priority.

    A job may be interrupted by any number of pod restarts, so it has more deliveries than a
    message; the attempts of the job itself are counted in the worker.
    """
    return Durable(
        ANALYSIS_WORK,
        f"analysis-p{priority}",
        (subjects.analysis_job(priority),),
        ack_wait=timedelta(seconds=10),
        max_deliver=20,
    )


ANALYSIS_LANES = tuple(analysis_lane(priority) for priority in subjects.PRIORITIES)
DEPLOY = Durable(
    EVENTS,
    "deploy",
    (subjects.DEPLOY_REQUESTED, subjects.DEVICE_ALARM),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)
DEPLOY_DEVICES = Durable(
    DEVICES,
    "deploy-devices",
    (subjects.DEVICE_HELLOS,),
    ack_wait=timedelta(seconds=15),
    max_deliver=10,
)
TELEMETRY_PRESENCE = Durable(
    DEVICES,
    "telemetry-presence",
    (subjects.DEVICE_HELLOS, subjects.DEVICE_BYES),
    ack_wait=timedelta(seconds=15),
    max_deliver=10,
)
TELEMETRY_SAMPLES = Durable(
    TELEMETRY,
    "telemetry-samples",
    (subjects.TELEMETRY_ANY,),
    ack_wait=timedelta(seconds=10),
    max_deliver=5,
    max_ack_pending=20_000,
)
DEAD_LETTER_RELAY = Durable(
    ADVISORIES,
    "dead-letter-relay",
    ("$JS.EVENT.ADVISORY.CONSUMER.*.>",),
    ack_wait=timedelta(seconds=30),
)
DURABLES = (
    CATALOGUE,
    ANALYSIS_INTAKE,
    *ANALYSIS_LANES,
    DEPLOY,
    DEPLOY_DEVICES,
    TELEMETRY_PRESENCE,
    TELEMETRY_SAMPLES,
    DEAD_LETTER_RELAY,
)

STREAMS = (
    Stream(
        EVENTS,
        (
            "track.>",
            "analysis.>",
            "beats.>",
            "deploy.>",
            subjects.DEVICE_ONLINE,
            subjects.DEVICE_OFFLINE,
            subjects.DEVICE_ALARM,
            redrive_filter(CATALOGUE.name),
            redrive_filter(ANALYSIS_INTAKE.name),
            redrive_filter(DEPLOY.name),
        ),
        "Facts and commands of tracks, analyses and deployments",
        max_age=timedelta(days=14),
        max_bytes=1024 * MIB,
    ),
    Stream(
        ANALYSIS_WORK,
        (subjects.ANALYSIS_JOBS_ANY, *(redrive_filter(lane.name) for lane in ANALYSIS_LANES)),
        "Analysis jobs waiting for a worker, one subject a priority",
        max_age=timedelta(days=14),
        max_bytes=256 * MIB,
    ),
    Stream(
        DEVICES,
        (
            subjects.DEVICE_HELLOS,
            subjects.DEVICE_BYES,
            redrive_filter(DEPLOY_DEVICES.name),
            redrive_filter(TELEMETRY_PRESENCE.name),
        ),
        "What devices say of themselves when they come and go",
        max_age=timedelta(days=1),
        max_bytes=256 * MIB,
        confirms=False,
        max_msgs_per_subject=16,
        max_msg_bytes=DEVICE_MESSAGE_MAX_BYTES,
    ),
    Stream(
        TELEMETRY,
        (subjects.TELEMETRY_ANY, redrive_filter(TELEMETRY_SAMPLES.name)),
        "Readings of the devices; the oldest are dropped",
        max_age=timedelta(hours=1),
        max_bytes=2048 * MIB,
        confirms=False,
        max_msgs_per_subject=12_000,
        max_msg_bytes=DEVICE_MESSAGE_MAX_BYTES,
    ),
    Stream(
        LIVE_TRACKS,
        (subjects.LIVE_TRACKS_ANY,),
        "The live feeds of tracks, kept for those who missed some",
        max_age=timedelta(minutes=10),
        max_bytes=256 * MIB,
    ),
    Stream(
        DEAD_LETTERS,
        (f"{subjects.DEAD_LETTERS}.>",),
        "Messages that could not be handled, with the reason",
        max_age=timedelta(days=90),
        max_bytes=512 * MIB,
        duplicate_window=timedelta(hours=2),
    ),
    Stream(
        ADVISORIES,
        (
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
            redrive_filter(DEAD_LETTER_RELAY.name),
        ),
        "The broker's own word that it gave a message up",
        max_age=timedelta(days=14),
        max_bytes=64 * MIB,
    ),
)

JOB_PROGRESS = Bucket("JOB_PROGRESS", "The newest progress of each job", ttl=timedelta(days=1))
JOB_CANCELS = Bucket("JOB_CANCELS", "Jobs that a person cancelled", ttl=timedelta(days=14))
WORKERS = Bucket("WORKERS", "Analysis workers that are alive", ttl=timedelta(seconds=15))
UPLOADS = Bucket("UPLOADS", "Which track holds which audio bytes", ttl=None)
IDEMPOTENCY = Bucket("IDEMPOTENCY", "Idempotency keys of uploads", ttl=timedelta(days=1))
PRESENCE = Bucket("PRESENCE", "Devices that are online", ttl=timedelta(seconds=6))
LEADERS = Bucket("LEADERS", "Which process does what only one may do", ttl=timedelta(seconds=3))
BUCKETS = (JOB_PROGRESS, JOB_CANCELS, WORKERS, UPLOADS, IDEMPOTENCY, PRESENCE, LEADERS)
