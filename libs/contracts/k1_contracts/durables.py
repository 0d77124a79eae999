"""Defines the durable consumers: which messages each service takes from which stream, and how patiently."""

from dataclasses import dataclass
from datetime import timedelta

from k1_contracts import subjects
from k1_contracts.descriptors import Event, messages_in
from k1_contracts.messages import alarms, analysis, telemetry
from k1_contracts.messages.analysis import ANALYSIS_QUEUED
from k1_contracts.messages.catalogue import (
    beats,
    job_moves,
    storage,
    track_changes,
    track_edits,
    track_uploads,
    tracks,
)
from k1_contracts.messages.deploy import deployments
from k1_contracts.messages.deploy.device_link import DEVICE_BYE, DEVICE_HELLO
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_contracts.streams import (
    ADVISORIES,
    ANALYSIS_WORK,
    DEVICES,
    EVENTS,
    TELEMETRY,
    Stream,
)


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
    reads_whole_stream: bool = False
    """Whether the broker compares no subjects, for which it needs most of its time where messages are many and small. Its
    service must skip the messages of which `receives` is false."""

    @property
    def filter_subjects(self) -> list[str]:
        """The handled subjects and those on which this durable's dead letters come back."""
        return [] if self.reads_whole_stream else [*self.filters, redrive_filter(self.name)]

    def receives(self, subject: str) -> bool:
        """Return whether a message of the stream is for this durable: all but the dead letters of others."""
        return not subject.startswith(subjects.REDRIVEN) or subject.startswith(
            subjects.redrive(self.name, "")
        )


def redrive_filter(durable: str) -> str:
    """Return the subjects on which dead letters of one durable come back."""
    return subjects.redrive(durable, ">")


def stream_subjects(stream: Stream) -> tuple[str, ...]:
    """Return all subjects of a stream: its own and those on which its durables' dead letters come back."""
    return (*stream.subjects, *(redrive_filter(d.name) for d in DURABLES if d.stream == stream.name))


_EVENT_MODULES = (
    tracks,
    track_edits,
    track_changes,
    track_uploads,
    beats,
    storage,
    analysis,
    job_moves,
    deployments,
    telemetry,
    alarms,
)


def _received_by(service: str) -> tuple[str, ...]:
    """Return the subjects of the events and commands on EVENTS that a service receives."""
    return tuple(
        message.subject
        for module in _EVENT_MODULES
        for message in messages_in(module)
        if message.stream == EVENTS and service in message.receivers
    )


CATALOGUE = Durable(
    EVENTS, "catalogue", _received_by("catalogue"), ack_wait=timedelta(seconds=15), max_deliver=40
)
ANALYSIS_INTAKE = Durable(
    EVENTS, "analysis-intake", _received_by("analysis"), ack_wait=timedelta(seconds=15), max_deliver=40
)

INGEST = Durable(EVENTS, "ingest", _received_by("ingest"), ack_wait=timedelta(seconds=15), max_deliver=40)


def analysis_lane(priority: int) -> Durable:
    """Return the durable of the jobs that wait with one priority.

    A job may be interrupted by any number of pod restarts, so it has more deliveries than a message. The worker
    counts the attempts of the job itself.
    """
    return Durable(
        ANALYSIS_WORK,
        f"analysis-p{priority}",
        (ANALYSIS_QUEUED.subject_for(priority),),
        ack_wait=timedelta(seconds=10),
        max_deliver=20,
    )


ANALYSIS_LANES = tuple(analysis_lane(priority) for priority in subjects.PRIORITIES)
DEPLOY = Durable(
    EVENTS,
    "deploy",
    _received_by("deploy"),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)
DEPLOY_DEVICES = Durable(
    DEVICES,
    "deploy-devices",
    (DEVICE_HELLO.pattern,),
    ack_wait=timedelta(seconds=15),
    max_deliver=10,
)
WEBHOOKS = Durable(
    EVENTS,
    "webhooks",
    tuple(
        message.subject
        for module in _EVENT_MODULES
        for message in messages_in(module)
        if isinstance(message, Event) and message.stream == EVENTS
    ),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)
TELEMETRY_EVENTS = Durable(
    EVENTS,
    "telemetry-events",
    _received_by("telemetry"),
    ack_wait=timedelta(seconds=15),
    max_deliver=40,
)
TELEMETRY_PRESENCE = Durable(
    DEVICES,
    "telemetry-presence",
    (DEVICE_HELLO.pattern, DEVICE_BYE.pattern),
    ack_wait=timedelta(seconds=15),
    max_deliver=10,
)
TELEMETRY_SAMPLES = Durable(
    TELEMETRY,
    "telemetry-samples",
    (DEVICE_READINGS.pattern,),
    ack_wait=timedelta(seconds=10),
    max_deliver=5,
    max_ack_pending=20_000,
    reads_whole_stream=True,
)
TELEMETRY_STORE = Durable(
    TELEMETRY,
    "telemetry-store",
    (DEVICE_READINGS.pattern,),
    ack_wait=timedelta(seconds=30),
    max_deliver=-1,
    max_ack_pending=100_000,
    reads_whole_stream=True,
)
"""All telemetry processes share it. It gives no message up: while the database is away, messages wait in the stream."""
DEAD_LETTER_RELAY = Durable(
    ADVISORIES,
    "dead-letter-relay",
    ("$JS.EVENT.ADVISORY.CONSUMER.*.>",),
    ack_wait=timedelta(seconds=30),
)
DURABLES = (
    CATALOGUE,
    ANALYSIS_INTAKE,
    INGEST,
    *ANALYSIS_LANES,
    DEPLOY,
    DEPLOY_DEVICES,
    WEBHOOKS,
    TELEMETRY_EVENTS,
    TELEMETRY_PRESENCE,
    TELEMETRY_SAMPLES,
    TELEMETRY_STORE,
    DEAD_LETTER_RELAY,
)
