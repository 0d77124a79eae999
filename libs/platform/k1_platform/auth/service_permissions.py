"""Derives what each service may publish and subscribe to on the bus; pure.

The permissions follow from the contracts: the senders and receivers of the messages, the durables, and the writers and
readers of streams and buckets. They are in the token of the service. A server reads at most 4 KiB of a CONNECT, so a
wildcard stands for subjects that a service may use all of.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from k1_contracts.descriptors import AnyQuery, DeviceMessage, Message, StreamMessage, Topic
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.durables import DEAD_LETTER_RELAY, DURABLES, Durable
from k1_contracts.streams import BUCKETS, DOMAIN, STREAMS, Bucket
from k1_contracts.subjects import DEAD_LETTERS, QUARANTINE

_OTHERS: Final = frozenset({"device", "k1"})
"""Senders and receivers that are no services: devices have credentials of their own, `k1` uses those of tools."""
_REPLY_WITHIN_NS: Final = 150 * 1_000_000_000
"""How long a service may take to reply. Its longest query, a simulation, has 60 s."""
_API: Final = "$JS.API"
_MQTT_SESSIONS: Final = "$MQTT_sess"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The subjects of a user of the bus, with wildcards."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies: int
    """How many replies the user may send to each message: 0, or -1 for any number."""

    @property
    def claims(self) -> dict[str, Any]:
        """The permissions in the form of a token."""
        allowed: dict[str, Any] = {
            "pub": {"allow": list(self.publish)},
            "sub": {"allow": list(self.subscribe)},
        }
        if self.replies:
            allowed["resp"] = {"max": self.replies, "ttl": _REPLY_WITHIN_NS}
        return allowed


SERVICES: Final = tuple(
    sorted({name for message in MESSAGES for name in (*message.senders, *message.receivers)} - _OTHERS)
)
"""The services, each with a credential of its own."""


def inbox_prefix(service: str) -> str:
    """Return the prefix of the subjects on which a service receives replies.

    It is not below `_INBOX.`, where the inboxes of devices and tools are, so no service can read those.
    """
    return f"_INBOX_{service}"


def permissions_of(service: str) -> Permissions:
    """Return the permissions of a service, in a stable order.

    Raises:
        ValueError: there is no such service.
    """
    if service not in SERVICES:
        raise ValueError(f"{service!r} is no service; there are {', '.join(SERVICES)}")
    publish = {
        *_sent(service),
        # One line instead of one for each stream: it tells names and counts only, and the token must stay short.
        f"{_API}.STREAM.INFO.*",
        *(subject for durable in durables_of(service) for subject in _use_of(durable)),
        *(subject for stream in STREAMS if service in stream.readers for subject in _reading(stream.name)),
        *(subject for bucket in BUCKETS for subject in _bucket(bucket, service)),
        *_dead_letters(),
        *(_purge_of_mqtt_sessions() if service == "deploy" else ()),
        *((f"{QUARANTINE}.>",) if service == "telemetry" else ()),
    }
    subscribe = {
        f"{inbox_prefix(service)}.>",
        *_received(service),
        *(f"$KV.{bucket.name}.*" for bucket in BUCKETS if service in bucket.readers and bucket.is_watched),
    }
    responds = any(isinstance(message, AnyQuery) and message.service == service for message in MESSAGES)
    return Permissions(tuple(sorted(publish)), tuple(sorted(subscribe)), -1 if responds else 0)


def mirror_permissions() -> Permissions:
    """Return the permissions of the servers that mirror: they read the streams that are mirrored, and nothing else.

    A mirror makes a consumer of its own at the source, and confirms its flow control.
    """
    create, publish = f"$JS.{DOMAIN}.API.CONSUMER.CREATE", set[str]()
    for stream in STREAMS:
        if stream.is_mirrored:
            publish |= {f"{create}.{stream.name}", f"$JS.FC.{stream.name}.>"}
    for bucket in BUCKETS:
        if bucket.mirrored_keys is not None:
            publish.add(f"{create}.{bucket.stream}.*.$KV.{bucket.name}.{bucket.mirrored_keys}")
            publish.add(f"$JS.FC.{bucket.stream}.>")
    return Permissions(tuple(sorted(publish)), ("$JS.M.*", "$JSC.R.*"), 0)


def _sent(service: str) -> Iterable[str]:
    return _general(lambda message: service in message.senders)


def _received(service: str) -> Iterable[str]:
    """Return the subjects that a service subscribes to. Durables deliver their messages to its inbox."""
    return _general(lambda message: service in message.receivers and not _comes_by_durable(message))


def _comes_by_durable(message: Message[Any]) -> bool:
    return isinstance(message, StreamMessage) or (
        isinstance(message, DeviceMessage) and message.stream is not None
    )


def _general(chosen: Callable[[Message[Any]], bool]) -> list[str]:
    """Return the subjects of the chosen messages, with a wildcard for all queries of a service or of a noun."""
    queries = [message for message in MESSAGES if isinstance(message, AnyQuery)]
    refused = [message.subject for message in queries if not chosen(message)]
    subjects: list[str] = []
    for message in filter(chosen, MESSAGES):
        subject = message.pattern if isinstance(message, Topic) else message.subject
        if isinstance(message, AnyQuery):
            _, owner, noun, _ = subject.split(".")
            prefixes = (f"rpc.{owner}.", f"rpc.{owner}.{noun}.")
            free = [p for p in prefixes if not any(other.startswith(p) for other in refused)]
            subject = f"{free[0]}>" if free else subject
        subjects.append(subject)
    return subjects


def durables_of(service: str) -> list[Durable]:
    """Return the durables that a service consumes: those with its name, and the relay that all share."""
    return [
        durable
        for durable in DURABLES
        if durable is DEAD_LETTER_RELAY or durable.name.partition("-")[0] == service
    ]


def _use_of(durable: Durable) -> Iterable[str]:
    owners = {each.name.partition("-")[0] for each in DURABLES if each.stream == durable.stream}
    consumer = durable.name if len(owners) > 1 else "*"
    yield f"{_API}.CONSUMER.MSG.NEXT.{durable.stream}.{consumer}"
    yield f"{_API}.CONSUMER.INFO.{durable.stream}.{consumer}"
    yield f"$JS.ACK.{durable.stream}.{consumer}.>"


def _reading(stream: str) -> Iterable[str]:
    """Return the subjects for reading a stream with consumers that end with the connection.

    A permission for named consumers would be one for every durable by its subject. Without it a request can still name
    a durable of another service in its body, and change it: the broker does not check that (decision 0060).
    """
    yield f"{_API}.CONSUMER.CREATE.{stream}"
    yield f"{_API}.CONSUMER.MSG.NEXT.{stream}.*"
    if all(durable.stream != stream for durable in DURABLES):
        yield f"{_API}.CONSUMER.DELETE.{stream}.*"


def _bucket(bucket: Bucket, service: str) -> Iterable[str]:
    stream = bucket.stream
    if service in bucket.writers:
        yield f"$KV.{bucket.name}.>"
        yield f"{_API}.STREAM.PURGE.{stream}"
    if service in (*bucket.writers, *bucket.readers):
        yield f"{_API}.DIRECT.GET.{stream}.>"
    if service in (*bucket.writers, *bucket.readers) and bucket.is_watched:
        yield f"{_API}.CONSUMER.CREATE.{stream}"
        yield f"{_API}.CONSUMER.INFO.{stream}.*"
        yield f"{_API}.CONSUMER.DELETE.{stream}.*"
        yield f"$JS.FC.{stream}.>"


def _dead_letters() -> Iterable[str]:
    """Return the subjects with which a service makes and counts dead letters, also of messages that the broker gave up."""
    yield f"{DEAD_LETTERS}.>"
    for stream in sorted({durable.stream for durable in DURABLES} - {DEAD_LETTER_RELAY.stream}):
        yield f"{_API}.STREAM.MSG.GET.{stream}"


def _purge_of_mqtt_sessions() -> Iterable[str]:
    """Return the subjects with which deploy deletes what a revoked device left in the server."""
    yield from _reading(_MQTT_SESSIONS)
    yield f"{_API}.CONSUMER.CREATE.{_MQTT_SESSIONS}.>"
    yield f"{_API}.CONSUMER.INFO.{_MQTT_SESSIONS}.*"
    yield f"{_API}.STREAM.MSG.DELETE.{_MQTT_SESSIONS}"
