"""CloudEvents 1.0 in NATS binary mode: the attributes are headers, the body is the contract's JSON.

`Nats-Msg-Id` equals `ce-id`, so a publisher's retry is deduplicated by the stream.
Source: CloudEvents specification, NATS protocol binding 1.0.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from k1_contracts.actors import Actor
from k1_contracts.base import UtcTime, rfc3339

PREFIX = "ce-"
ACTOR_HEADER = f"{PREFIX}actor"


class EnvelopeError(ValueError):
    """The headers of a message are not a CloudEvent's."""


class Envelope(BaseModel):
    """The CloudEvents attributes of one event."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    source: str
    time: UtcTime
    subject: str
    """What the event is about: a track's, job's or device's id."""
    specversion: str = "1.0"
    traceparent: str | None = None
    actor: Actor | None = None
    """Who caused the event: an extension attribute, as JSON. None for what a service does by itself."""

    def headers(self) -> dict[str, str]:
        """The NATS headers that carry this envelope."""
        attributes = {
            "specversion": self.specversion,
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "time": rfc3339(self.time),
            "subject": self.subject,
        }
        headers = {PREFIX + name: value for name, value in attributes.items()}
        headers |= {"Nats-Msg-Id": self.id, "content-type": "application/json"}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        if self.actor:
            headers[ACTOR_HEADER] = self.actor.to_header()
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Self:
        """Read the envelope back.

        Raises:
            EnvelopeError: an attribute is missing or malformed; the message names it.
        """
        attributes: dict[str, str] = {
            name.removeprefix(PREFIX): value for name, value in headers.items() if name.startswith(PREFIX)
        }
        actor = attributes.pop("actor", None)
        try:
            given = cls.model_validate(attributes | {"traceparent": headers.get("traceparent")})
            return given.model_copy(update={"actor": Actor.model_validate_json(actor) if actor else None})
        except ValidationError as error:
            names = ", ".join(PREFIX + ".".join(map(str, item["loc"])) for item in error.errors())
            raise EnvelopeError(f"not a CloudEvent: check the headers {names}") from error


def envelope_for(
    event_type: str, *, event_id: str, source: str, about: str, at: datetime, actor: Actor | None = None
) -> Envelope:
    """Return the envelope of an event that happened `at`; `about` is the id of what it is about."""
    return Envelope(id=event_id, type=event_type, source=f"k1/{source}", time=at, subject=about, actor=actor)
