"""Defines the streams and key-value buckets. They are provisioned once, before any service starts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from k1_contracts.subjects import DEAD_LETTERS as DEAD_LETTERS_SUBJECT
from k1_contracts.subjects import QUARANTINE as QUARANTINE_SUBJECT

MIB = 1024 * 1024
DOMAIN: Final = "k1"
"""The JetStream domain of the servers of an installation that has mirrors: the name by which those reach its streams."""
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
    """Whether the server acknowledges each stored message. It acknowledges on whatever reply subject the message names
    and checks no permission: where devices publish, one could make the server write to another device's commands or to
    a key-value bucket. So messages of devices are not acknowledged; devices repeat what matters."""
    max_msgs_per_subject: int = -1
    """So that one device cannot push out the messages of the others; -1 is no limit."""
    max_msg_bytes: int = -1
    readers: tuple[str, ...] = ()
    """The services that read it with consumers of their own, beside the durables."""
    is_mirrored: bool = False
    """Whether a second cluster keeps a copy, because its loss cannot be made good from elsewhere."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A key-value bucket."""

    name: str
    description: str
    ttl: timedelta | None
    writers: tuple[str, ...]
    """The services that write and read it."""
    readers: tuple[str, ...] = ()
    """Further services that read it."""
    max_bytes: int = 256 * MIB
    is_watched: bool = True
    """Whether its readers watch it; those of other buckets only get keys."""
    mirrored_keys: str | None = None
    """The keys of which a second cluster keeps a copy, with wildcards. Choose none that are purged: a mirror keeps them."""

    @property
    def stream(self) -> str:
        """The stream that holds the entries."""
        return f"KV_{self.name}"


EVENTS = "EVENTS"
ANALYSIS_WORK = "ANALYSIS_WORK"
DEAD_LETTERS = "DEAD_LETTERS"
QUARANTINE = "QUARANTINE"
ADVISORIES = "ADVISORIES"
DEVICES = "DEVICES"
TELEMETRY = "TELEMETRY"
LIVE_TRACKS = "LIVE_TRACKS"
LIVE = "LIVE"

STREAMS = (
    Stream(
        EVENTS,
        (
            "track.>",
            "analysis.>",
            "beats.>",
            "graph.>",
            "artefact.>",
            "storage.>",
            "deploy.>",
            "device.online",
            "device.offline",
            "device.alarm",
            "alarm.>",
        ),
        "Events and commands of tracks, analyses, storage, deployments and alarms",
        max_age=timedelta(days=14),
        max_bytes=1024 * MIB,
        readers=("gateway",),
        is_mirrored=True,
    ),
    Stream(
        ANALYSIS_WORK,
        ("work.analysis.*",),
        "Analysis jobs waiting for a worker, one subject a priority",
        max_age=timedelta(days=14),
        max_bytes=256 * MIB,
        is_mirrored=True,
    ),
    Stream(
        DEVICES,
        (
            "device.*.hello",
            "device.*.bye",
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
        ("telemetry.*",),
        "Readings of the devices; the oldest are dropped",
        max_age=timedelta(hours=1),
        max_bytes=2048 * MIB,
        confirms=False,
        max_msgs_per_subject=12_000,
        max_msg_bytes=DEVICE_MESSAGE_MAX_BYTES,
    ),
    Stream(
        LIVE_TRACKS,
        ("live.track.*",),
        "The live feeds of tracks, kept for those who missed some",
        max_age=timedelta(minutes=10),
        max_bytes=256 * MIB,
        readers=("gateway",),
    ),
    Stream(
        LIVE,
        ("live.job.*", "live.deploy.*", "live.telemetry.*", "live.fleet.summary"),
        "Progress, readings and figures of the fleet, kept for the viewers that were away",
        max_age=timedelta(minutes=15),
        max_bytes=256 * MIB,
        readers=("gateway",),
    ),
    Stream(
        DEAD_LETTERS,
        (f"{DEAD_LETTERS_SUBJECT}.>",),
        "Messages that could not be handled, with the reason",
        max_age=timedelta(days=90),
        max_bytes=512 * MIB,
        duplicate_window=timedelta(hours=2),
        is_mirrored=True,
    ),
    Stream(
        QUARANTINE,
        (f"{QUARANTINE_SUBJECT}.telemetry.*",),
        "Bad samples of devices, with the reason; apart from the dead letters, so that no device can push those out",
        max_age=timedelta(days=7),
        max_bytes=256 * MIB,
        duplicate_window=timedelta(hours=2),
        max_msgs_per_subject=1000,
    ),
    Stream(
        ADVISORIES,
        (
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
        ),
        "Advisories of the broker that it gave up on a message",
        max_age=timedelta(days=14),
        max_bytes=64 * MIB,
    ),
)

JOB_PROGRESS = Bucket(
    "JOB_PROGRESS",
    "The newest progress of each job",
    ttl=timedelta(days=1),
    writers=("analysis",),
    readers=("catalogue",),
)
JOB_CANCELS = Bucket(
    "JOB_CANCELS",
    "Jobs that a person cancelled",
    ttl=timedelta(days=14),
    writers=("catalogue",),
    readers=("analysis",),
    mirrored_keys=">",
)
JOB_PLACES = Bucket(
    "JOB_PLACES",
    "Which message of a job is valid, and whether a worker has taken it",
    ttl=timedelta(days=14),
    writers=("analysis",),
    readers=("catalogue",),
    mirrored_keys=">",
)
WORKERS = Bucket(
    "WORKERS", "Analysis workers that are alive", ttl=timedelta(seconds=15), writers=("analysis",)
)
UPLOADS = Bucket(
    "UPLOADS",
    "Which track holds which audio bytes",
    ttl=None,
    writers=("ingest",),
    mirrored_keys="*",  # not `pending.*`, which ingest purges
)
OPEN_UPLOADS = Bucket(
    "OPEN_UPLOADS",
    "Uploads that have begun and are not complete",
    ttl=timedelta(days=2),
    max_bytes=64 * MIB,
    writers=("ingest",),
)
IDEMPOTENCY = Bucket(
    "IDEMPOTENCY",
    "Idempotency keys of requests over HTTP",
    ttl=timedelta(days=1),
    writers=("gateway", "ingest"),
    mirrored_keys=">",
)
ANSWERS = Bucket(
    "ANSWERS",
    "Answers to changes over HTTP, sealed, for requests that are repeated under their idempotency key",
    ttl=timedelta(days=1),
    writers=("gateway",),
    mirrored_keys=">",
)
PRESENCE = Bucket(
    "PRESENCE",
    "Devices that are online, and those that were when the last leader of telemetry ended",
    ttl=timedelta(days=1),
    writers=("telemetry",),
    readers=("deploy",),
)
LEADERS = Bucket(
    "LEADERS", "Which process does what only one may do", ttl=timedelta(seconds=3), writers=("telemetry",)
)
RATE_LIMITS = Bucket(
    "RATE_LIMITS",
    "What callers of the gateways have used of their allowances",
    ttl=timedelta(hours=1),
    writers=("gateway",),
    max_bytes=64 * MIB,
)
MAINTENANCE = Bucket(
    "MAINTENANCE",
    "Whether a backup keeps changes out; it ends by itself when the backup no longer renews it",
    ttl=timedelta(seconds=30),
    writers=(),
    readers=("gateway", "ingest", "catalogue", "deploy", "telemetry"),
    max_bytes=MIB,
    is_watched=False,
)
BUCKETS = (
    JOB_PROGRESS,
    JOB_CANCELS,
    JOB_PLACES,
    WORKERS,
    UPLOADS,
    OPEN_UPLOADS,
    IDEMPOTENCY,
    ANSWERS,
    PRESENCE,
    LEADERS,
    RATE_LIMITS,
    MAINTENANCE,
)
