"""The types of events on the feed, and the topics under which each is delivered. Pure.

Every event that the contracts keep in EVENTS is on the feed; so a new event of a service needs nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from k1_contracts.descriptors import Event
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.messages.analysis import JOB_PROGRESSED
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED
from k1_contracts.messages.fleet import FLEET_SUMMARY
from k1_contracts.messages.telemetry import LIVE_READING
from k1_contracts.streams import EVENTS

ACTIVITY: Final = "activity"
FLEET_SUMMARY_TYPE: Final = "fleet.summary"
DEFAULT_TOPICS: Final = ("jobs", "alarms", "fleet", ACTIVITY)
"""Topics of a client that names none. Readings and steps come only under the topic of their device or deployment."""
TOPIC_PATTERN: Final = (
    r"^(jobs|alarms|fleet|activity|track:trk_[0-9A-Z]{26}|deployment:dep_[0-9A-Z]{26}"
    r"|device:[a-zA-Z0-9_-]{1,64})$"
)
_PUBLIC_SUBJECTS: Final = (
    "track.",
    "analysis.",
    "beats.",
    "graph.",
    "artefact.",
    "storage.",
    "deploy.",
    "device.",
    "alarm.",
)
_TYPE_NAMES: Final = {"beats.overridden": "beats_updated"}
"""Types that are not called as their subject."""
_LEVEL_TYPE: Final = "device.alarm"
"""Each crossing of a level, of which a flapping device has many: the activity has the alarms (`alarm.*`) instead."""
_SHARED_TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "analysis": ("jobs",),
    "job": ("jobs",),
    "alarm": ("alarms", "fleet"),
    _LEVEL_TYPE: ("alarms", "fleet"),
    FLEET_SUMMARY_TYPE: ("fleet",),
    "device.online": ("fleet",),
    "device.offline": ("fleet",),
}
"""Topics by type, or by the first word of the type, before those of the ids in the event."""
_ID_TOPICS: Final = (
    ("deployment_id", "deployment"),
    ("device_id", "device"),
    ("track_id", "track"),
)
"""Field -> topic, the most special first."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event."""

    name: str
    model: type[BaseModel]
    """The model of `data`."""
    summary: str
    is_durable: bool
    """Whether it is kept in EVENTS and never dropped; samples are followed by newer ones."""

    def topics(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the topics of an event with this data; the first is the one that it names."""
        shared = _SHARED_TOPICS.get(self.name) or _SHARED_TOPICS.get(self.name.partition(".")[0], ())
        own = tuple(
            f"{topic}:{data[field]}" for field, topic in _ID_TOPICS if isinstance(data.get(field), str)
        )
        is_activity = self.is_durable and self.name != _LEVEL_TYPE
        return (*shared, *own, *((ACTIVITY,) if is_activity else ()))


def _durable_types() -> dict[str, EventType]:
    return {
        message.subject: EventType(
            _TYPE_NAMES.get(message.subject, message.subject), message.model, message.summary, is_durable=True
        )
        for message in MESSAGES
        if isinstance(message, Event)
        and message.stream == EVENTS
        and message.subject.startswith(_PUBLIC_SUBJECTS)
    }


DURABLE_TYPES: Final = _durable_types()
"""By subject. Commands and redriven dead letters in the stream are no events."""
SAMPLE_TYPES: Final = {
    prefix: EventType(name, message.model, message.summary, is_durable=False)
    for prefix, name, message in (
        ("live.job", "job.progressed", JOB_PROGRESSED),
        ("live.deploy", "deployment.changed", DEPLOYMENT_CHANGED),
        ("live.telemetry", "device.reading", LIVE_READING),
        ("live.fleet", FLEET_SUMMARY_TYPE, FLEET_SUMMARY),
    )
}
"""By the subject without its last word, which is an id but for the fleet."""


def type_of(subject: str) -> EventType | None:
    """Return the type of a message of EVENTS or LIVE; None for one that is not for viewers."""
    return DURABLE_TYPES.get(subject) or SAMPLE_TYPES.get(subject.rpartition(".")[0])
