"""Limits the state that MQTT devices can store in the NATS server; for provisioning.

The server keeps the state of MQTT clients in five JetStream streams of the account and creates them without limits at
the first MQTT connection. A device needs none of that state, because the device link uses clean sessions and
QoS 0 subscriptions. So the streams are created here first, and existing ones get the same limits:

* No QoS 1 or 2 subscription: each would be a consumer that outlives its connection, its credential and the server.
  A limit of 0 means "no limit" to the server. So the limit is 1, and a consumer that never gets a message uses it.
* Session records are limited in number and expire after a day. The server writes one at every connection, so new
  records replace the oldest.
* Retained messages are not stored; they are still delivered.
* Messages of QoS 1 and 2 are limited in size and expire after a minute.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

_SESSIONS: Final = "$MQTT_sess"
_BATCH: Final = 500
_FETCH_TIMEOUT_S: Final = 2.0
_SUBSCRIBES_WITHIN: Final = timedelta(seconds=10)

PLACEHOLDER: Final = "none"
"""The name of the only consumer of a stream that must have no others."""
MOST_SESSIONS: Final = 10_000
_SESSION_AGE_S: Final = 24 * 3600
_MESSAGE_AGE_S: Final = 60
_FEW_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _MqttStream:
    """A stream of the server and its limits; the server defines name, subject and retention."""

    short_name: str
    retention: RetentionPolicy
    no_consumers: bool = False
    max_msgs: int = -1
    max_msgs_per_subject: int = -1
    max_msg_bytes: int = -1
    max_bytes: int = -1
    max_age_s: float = 0

    @property
    def name(self) -> str:
        """The name in JetStream."""
        return f"$MQTT_{self.short_name}"

    def config(self, replicas: int) -> StreamConfig:
        """Return the configuration for the server."""
        return StreamConfig(
            name=self.name,
            subjects=[f"$MQTT.{'qos2.in' if self.short_name == 'qos2in' else self.short_name}.>"],
            retention=self.retention,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_consumers=1 if self.no_consumers else -1,
            max_msgs=self.max_msgs,
            max_msgs_per_subject=self.max_msgs_per_subject,
            max_msg_size=self.max_msg_bytes,
            max_bytes=self.max_bytes,
            max_age=self.max_age_s,
            num_replicas=replicas,
        )


_STREAMS: Final = (
    _MqttStream(
        "msgs", RetentionPolicy.INTEREST, no_consumers=True, max_bytes=_FEW_BYTES, max_age_s=_MESSAGE_AGE_S
    ),
    _MqttStream(
        "out", RetentionPolicy.INTEREST, no_consumers=True, max_bytes=_FEW_BYTES, max_age_s=_MESSAGE_AGE_S
    ),
    _MqttStream(
        "qos2in",
        RetentionPolicy.LIMITS,
        max_msgs_per_subject=1,
        max_bytes=_FEW_BYTES,
        max_age_s=_MESSAGE_AGE_S,
    ),
    _MqttStream(
        "sess",
        RetentionPolicy.LIMITS,
        max_msgs_per_subject=1,
        max_msgs=MOST_SESSIONS,
        max_age_s=_SESSION_AGE_S,
    ),
    # One byte is smaller than any retained message, which has headers.
    _MqttStream("rmsgs", RetentionPolicy.LIMITS, max_msgs_per_subject=1, max_msg_bytes=1),
)


async def limit_mqtt_state(jetstream: JetStreamContext, replicas: int = 1) -> None:
    """Create the MQTT streams with limits, or apply the limits to existing streams and delete what exceeds them."""
    for stream in _STREAMS:
        await _limit(jetstream, stream, stream.config(replicas))


async def _limit(jetstream: JetStreamContext, stream: _MqttStream, config: StreamConfig) -> None:
    try:
        await jetstream.stream_info(stream.name)
    except NotFoundError:
        await jetstream.add_stream(config)
    else:
        if stream.no_consumers:
            await _delete_consumers(jetstream, stream.name)
        await jetstream.update_stream(config)
        if stream.max_msg_bytes >= 0:
            await jetstream.purge_stream(stream.name)  # otherwise the messages that are too long would stay
    if stream.no_consumers:
        unused = ConsumerConfig(
            durable_name=PLACEHOLDER,
            filter_subject=f"$MQTT.{stream.short_name}.-",
            ack_policy=AckPolicy.EXPLICIT,
        )
        await jetstream.add_consumer(stream.name, unused)


async def _delete_consumers(jetstream: JetStreamContext, stream: str) -> None:
    """Delete every consumer but the placeholder, page by page."""
    while True:
        found = [info.name for info in await jetstream.consumers_info(stream) if info.name != PLACEHOLDER]
        if not found:
            return
        for consumer in found:
            await jetstream.delete_consumer(stream, consumer)


async def purge_sessions(jetstream: JetStreamContext, device_ids: Collection[str]) -> int:
    """Delete the session records of these devices and unused records; return how many were deleted.

    End the connections of the devices first. A record is unused when it has no subscription some seconds after it was
    written; such a record does not name its device.
    """
    until = datetime.now(UTC) - _SUBSCRIBES_WITHIN
    commands = tuple(f"command.{device_id}" for device_id in device_ids)
    try:
        records = await jetstream.pull_subscribe(
            "$MQTT.sess.>",
            stream=_SESSIONS,
            config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=30),
        )
    except NotFoundError:
        return 0
    left, purged = (await records.consumer_info()).num_pending or 0, 0
    try:
        while left > 0:
            messages = await records.fetch(min(_BATCH, left), timeout=_FETCH_TIMEOUT_S)
            left -= len(messages)
            for message in messages:
                if _belongs_to(message.data, commands, if_unused=message.metadata.timestamp < until):
                    await jetstream.delete_msg(_SESSIONS, message.metadata.sequence.stream)
                    purged += 1
    except TimeoutError:  # some records have expired meanwhile
        pass
    finally:
        await records.unsubscribe()
    return purged


def _belongs_to(record: bytes, commands: tuple[str, ...], *, if_unused: bool) -> bool:
    """Return whether a session record subscribes to one of these subjects or below it.

    `if_unused` is the result for a record without subscriptions.
    """
    subscriptions = json.loads(record).get("subs")
    if not subscriptions:
        return if_unused
    return any(
        subject == name or subject.startswith(f"{name}.") for subject in subscriptions for name in commands
    )
