"""Each service may use only the subjects that the contracts give it, and its token fits into a CONNECT."""

import time

import pytest

from k1_cli.stack.services import SERVICE_NAMES
from k1_contracts.descriptors import AnyQuery, StreamMessage, Topic
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.durables import DEAD_LETTER_RELAY, DURABLES
from k1_contracts.streams import BUCKETS, STREAMS
from k1_platform.auth.claims import mirror_claims, service_claims
from k1_platform.auth.jwt import KeyKind, KeyPair, encode
from k1_platform.auth.service_permissions import SERVICES, inbox_prefix, mirror_permissions, permissions_of

MAX_CONNECT_BYTES = 4096
"""The longest line that the server accepts of a client that has not signed in."""
REST_OF_CONNECT_BYTES = 512
"""Enough for the signature, the name of the client and its options."""


def matches(pattern: str, subject: str) -> bool:
    """Return whether a subject of the bus matches a pattern with wildcards."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in {"*", given[position]}:
            return False
    return len(wanted) == len(given)


def allows(patterns: tuple[str, ...], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in patterns)


def example(message: object) -> str:
    assert isinstance(message, (Topic, StreamMessage, AnyQuery))
    return message.subject_for(7) if isinstance(message, Topic) else message.subject


def test_the_services_are_those_that_run() -> None:
    """Every service has a credential, and every durable, stream and bucket belongs to services that exist."""
    assert set(SERVICES) == set(SERVICE_NAMES)
    owners = {durable.name.partition("-")[0] for durable in DURABLES if durable is not DEAD_LETTER_RELAY}
    users = {name for each in BUCKETS for name in (*each.writers, *each.readers)}
    users |= {name for each in STREAMS for name in each.readers}
    assert owners | users <= set(SERVICES)
    with pytest.raises(ValueError, match="no service"):
        permissions_of("device")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sends_and_receives_exactly_its_messages(service: str) -> None:
    """Over all messages of the contracts: it may publish those that it sends, subscribe to those that it receives."""
    permissions = permissions_of(service)
    for message in MESSAGES:
        subject = example(message)
        assert allows(permissions.publish, subject) == (service in message.senders), subject
        if service not in message.receivers:
            assert not allows(permissions.subscribe, subject), subject
        elif isinstance(message, AnyQuery):
            assert allows(permissions.subscribe, subject), subject


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_no_inbox_and_changes_no_stream_of_others(service: str) -> None:
    """Replies of others, definitions of streams, durables and buckets of others stay out of reach."""
    permissions = permissions_of(service)
    for other in {*SERVICES} - {service}:
        assert not allows(permissions.subscribe, f"{inbox_prefix(other)}.x.y")
    assert not allows(permissions.subscribe, "_INBOX.device-1.x")
    assert not allows(permissions.subscribe, "$SYS.ACCOUNT.A.CONNECT")
    for stream in (*STREAMS, *(bucket.stream for bucket in BUCKETS)):
        name = stream if isinstance(stream, str) else stream.name
        for verb in ("CREATE", "UPDATE", "DELETE"):
            assert not allows(permissions.publish, f"$JS.API.STREAM.{verb}.{name}")
    for durable in DURABLES:
        if durable.name.partition("-")[0] == service or durable is DEAD_LETTER_RELAY:
            continue
        for verb in ("DELETE", "DURABLE.CREATE", "INFO"):
            subject = f"$JS.API.CONSUMER.{verb}.{durable.stream}.{durable.name}"
            assert not allows(permissions.publish, subject), subject
        named = f"$JS.API.CONSUMER.CREATE.{durable.stream}.{durable.name}"
        assert not allows(permissions.publish, named)
        assert not allows(permissions.publish, f"$JS.ACK.{durable.stream}.{durable.name}.1.1.1.1.0")
    for bucket in BUCKETS:
        if service not in bucket.writers:
            assert not allows(permissions.publish, f"$KV.{bucket.name}.key")
        if service not in (*bucket.writers, *bucket.readers):
            assert not allows(
                permissions.publish, f"$JS.API.DIRECT.GET.KV_{bucket.name}.$KV.{bucket.name}.key"
            )


def test_a_mirror_reads_only_what_is_mirrored() -> None:
    """It creates consumers of these streams and keys, without the name of a durable, and uses no other API."""
    permissions = mirror_permissions()
    create = "$JS.k1.API.CONSUMER.CREATE"
    for each in STREAMS:
        assert allows(permissions.publish, f"{create}.{each.name}") == each.is_mirrored, each.name
    for each in BUCKETS:
        subject = f"{create}.{each.stream}.JS_MIRROR_1.$KV.{each.name}.{each.mirrored_keys}"
        assert allows(permissions.publish, subject) == (each.mirrored_keys is not None), each.name
    assert not allows(permissions.publish, f"{create}.KV_UPLOADS.JS_MIRROR_1.$KV.UPLOADS.pending.track")
    for name in (*(each.name for each in STREAMS), *(each.stream for each in BUCKETS)):
        for api in ("STREAM.PURGE", "STREAM.DELETE", "STREAM.MSG.GET", "CONSUMER.LIST"):
            assert not allows(permissions.publish, f"$JS.k1.API.{api}.{name}"), name
    for durable in DURABLES:
        named = f"$JS.k1.API.CONSUMER.CREATE.{durable.stream}.{durable.name}"
        assert not allows(permissions.publish, named), named
    for message in MESSAGES:
        assert not allows((*permissions.publish, *permissions.subscribe), example(message))


def test_the_tokens_fit_into_a_connect() -> None:
    """A longer token would keep a service, or the servers of a mirror, from connecting at all."""
    account = KeyPair.generate(KeyKind.ACCOUNT)
    user, now = KeyPair.generate(KeyKind.USER).public_key, int(time.time())
    claims = [service_claims(user, account.public_key, service, now) for service in SERVICES]
    for each in (*claims, mirror_claims(user, account.public_key, now)):
        assert len(encode(each, account)) + REST_OF_CONNECT_BYTES < MAX_CONNECT_BYTES, each["name"]
