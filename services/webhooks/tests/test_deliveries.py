"""Deliveries: signed so that the libraries of Standard Webhooks accept them, retried, ended, redriven, shared."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook as PeerWebhook

from k1_contracts.actors import Actor
from k1_contracts.envelope import envelope_for
from k1_contracts.messages.webhooks import (
    CreateWebhook,
    Delivery,
    GetDelivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    UpdateWebhook,
    WebhookSecret,
)
from k1_platform.errors import PermanentError
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_webhooks.deliveries import store
from k1_webhooks.deliveries.intake import EventIntake
from k1_webhooks.deliveries.matching import matches
from k1_webhooks.deliveries.schedule import MAX_ATTEMPTS, PAUSES, Attempt, next_step
from k1_webhooks.deliveries.sender import Sender
from k1_webhooks.deliveries.worker import DeliveryWorker
from k1_webhooks.endpoints.queries import WebhookQueries
from services.webhooks.tests.conftest import MASTER_KEY, Receiver

ADMIN = Actor(kind="user", id="usr_1", name="Ann", role="admin", address="10.0.0.1")


def event(kind: str = "analysis.completed", number: int = 1, body: bytes = b'{"job_id": "job_1"}') -> Any:
    """Return an event as the broker gives it."""
    envelope = envelope_for(kind, event_id=f"evt_{number}", source="test", about="x", at=datetime.now(UTC))
    return SimpleNamespace(raw_message=SimpleNamespace(headers=envelope.headers(), data=body))


async def create(queries: WebhookQueries, receiver: Receiver, *types: str) -> WebhookSecret:
    """Add a webhook to the receiver."""
    return await queries.create(CreateWebhook(url=receiver.url, event_types=list(types) or ["*"]))


async def deliveries(queries: WebhookQueries, created: WebhookSecret) -> Sequence[Delivery]:
    """Return the deliveries of a webhook."""
    return (await queries.list_deliveries(ListDeliveries(webhook_id=created.webhook.id))).items


async def make_due(pool: Pool) -> None:
    """Let the pauses pass."""
    await pool.execute("UPDATE webhooks.deliveries SET next_attempt_at = now() WHERE status = 'pending'")


async def test_an_event_is_delivered_signed_and_once(
    pool: Pool, queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """The reference library verifies it; the event again, or a type that was not asked for, sends nothing."""
    created = await create(queries, receiver, "analysis.*")
    intake = EventIntake(pool)
    for message in (event(), event(), event("deploy.succeeded", 2)):
        await intake.handle_event(message)
    await worker.send_due()
    assert await worker.send_due() == 0
    [(headers, body)] = receiver.received
    verified = cast("dict[str, Any]", PeerWebhook(created.secret).verify(body, headers))
    assert (verified["type"], verified["data"]) == ("analysis.completed", {"job_id": "job_1"})
    [delivery] = await deliveries(queries, created)
    assert (delivery.status, delivery.attempts, delivery.last_status) == ("delivered", 1, 204)
    assert headers["webhook-id"] == delivery.id


async def test_a_rotated_secret_signs_at_once(
    queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """The old secret no longer verifies what is sent, and no table holds either of them."""
    created = await create(queries, receiver)
    rotated = await queries.rotate_secret(GetWebhook(webhook_id=created.webhook.id))
    await queries.send_test(GetWebhook(webhook_id=created.webhook.id))
    await worker.send_due()
    [(headers, body)] = receiver.received
    PeerWebhook(rotated.secret).verify(body, headers)
    with pytest.raises(Exception, match="No matching signature"):
        PeerWebhook(created.secret).verify(body, headers)
    rows = await queries.pool.fetch("SELECT row_to_json(w)::text AS text FROM webhooks.webhooks AS w")
    assert not [row for row in rows if rotated.secret[6:] in row["text"] or created.secret[6:] in row["text"]]


async def test_failures_are_retried_ended_and_redriven(
    pool: Pool, queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """After the last attempt the delivery has failed and the webhook is disabled; nothing is lost, a person redrives."""
    receiver.status = 500
    created = await create(queries, receiver)
    await EventIntake(pool).handle_event(event())
    await EventIntake(pool).handle_event(event(number=2))
    for _ in range(MAX_ATTEMPTS):
        assert await worker.send_due() == 2
        assert await worker.send_due() == 0, "it waits before the next attempt"
        await make_due(pool)
    found = await deliveries(queries, created)
    assert {each.status for each in found} == {"failed"}
    webhook = await queries.get(GetWebhook(webhook_id=created.webhook.id))
    assert not webhook.enabled
    assert "answered 500" in (webhook.disabled_reason or "")
    await EventIntake(pool).handle_event(event(number=3))
    assert len(await deliveries(queries, created)) == 2, "a disabled webhook gets no events"
    receiver.status, receiver.received = 200, []
    await queries.update(UpdateWebhook(webhook_id=webhook.id, enabled=True))
    await queries.redrive(GetDelivery(delivery_id=found[0].id))
    await worker.send_due()
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [found[0].id]
    with pytest.raises(QueryError) as pending:
        await queries.redrive(
            GetDelivery(delivery_id=(await queries.send_test(GetWebhook(webhook_id=webhook.id))).id)
        )
    assert pending.value.code == "delivery_pending"


async def test_gone_disables_and_ends_what_waits(
    pool: Pool, queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """410 means that the receiver wants no more."""
    receiver.status = 410
    created = await create(queries, receiver)
    for number in range(6):
        await EventIntake(pool).handle_event(event(number=number))
    await worker.send_due()
    assert len(receiver.received) == 4, "one receiver gets at most four at a time"
    assert {each.status for each in await deliveries(queries, created)} == {"failed"}
    audit = await pool.fetch("SELECT actor ->> 'name' AS name, action FROM webhooks.audit ORDER BY id")
    assert [(row["name"], row["action"]) for row in audit] == [
        ("service:webhooks", "created"),
        ("service:webhooks", "disabled"),
    ]


async def test_redirects_are_not_followed(
    queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """A redirect could lead anywhere; it counts as a failure that is tried again."""
    receiver.status, receiver.headers = 307, {"Location": receiver.url + "/elsewhere"}
    created = await create(queries, receiver)
    await queries.send_test(GetWebhook(webhook_id=created.webhook.id))
    await worker.send_due()
    [delivery] = await deliveries(queries, created)
    assert (len(receiver.received), delivery.status, delivery.last_status) == (1, "pending", 307)


async def test_two_processes_share_the_work(
    pool: Pool, queries: WebhookQueries, worker: DeliveryWorker, receiver: Receiver
) -> None:
    """No delivery is sent by both, and one that a dead process took is sent after its lease."""
    created = await create(queries, receiver)
    for number in range(12):
        await EventIntake(pool).handle_event(event(number=number))
    other = DeliveryWorker(pool, worker.sender, worker.timeout_s, 16, worker.keep, CollectorRegistry())
    while sum(await asyncio.gather(worker.send_due(), other.send_due())):
        pass
    sent = [headers["webhook-id"] for headers, _ in receiver.received]
    assert (len(sent), len(set(sent))) == (12, 12)
    again = await queries.send_test(GetWebhook(webhook_id=created.webhook.id))
    async with pool.acquire() as connection:
        [taken] = await store.take_due(connection, 5, timedelta(seconds=60))
        assert taken.id == again.id
        assert await store.take_due(connection, 5, timedelta(seconds=60)) == []
    await make_due(pool)
    assert await worker.send_due() == 1


async def test_private_addresses_are_not_reached(pool: Pool, receiver: Receiver) -> None:
    """Not by a literal, and not by a name that resolves to one, even if the webhook was allowed before."""
    strict = WebhookQueries(pool, MASTER_KEY, allow_private=False, clock=lambda: datetime.now(UTC))
    with pytest.raises(QueryError) as refused:
        await strict.create(CreateWebhook(url=receiver.url))
    assert refused.value.code == "url_not_allowed"
    lax = WebhookQueries(pool, MASTER_KEY, allow_private=True, clock=lambda: datetime.now(UTC))
    port = receiver.url.split(":")[2].split("/")[0]
    sender = Sender.open(MASTER_KEY, allow_private=False, timeout_s=5)
    worker = DeliveryWorker(pool, sender, 5, 16, timedelta(days=1), CollectorRegistry())
    for host in ("localhost", "127.0.0.1", "[::1]", "0x7f.1", "127.1"):
        created = await lax.create(CreateWebhook(url=f"https://{host}:{port}/hook"))
        await lax.send_test(GetWebhook(webhook_id=created.webhook.id))
    await worker.send_due()
    await sender.http.close()
    errors = await pool.fetch("SELECT last_error FROM webhooks.deliveries")
    assert len(errors) == 5
    assert receiver.received == []
    for row in errors:
        assert (
            "address" in row["last_error"]
            or "own machine" in row["last_error"]
            or "resolve" in row["last_error"]
        )


async def test_who_did_what_is_recorded(queries: WebhookQueries, receiver: Receiver) -> None:
    """Each change stands in the audit with its actor; deleted webhooks keep their trail."""
    with acting_as(ADMIN):
        created = await create(queries, receiver)
        await queries.update(UpdateWebhook(webhook_id=created.webhook.id, description="x"))
        await queries.delete(GetWebhook(webhook_id=created.webhook.id))
    rows = await queries.pool.fetch("SELECT actor, action FROM webhooks.audit ORDER BY id")
    assert [row["action"] for row in rows] == ["created", "changed", "deleted"]
    assert all(json.loads(row["actor"])["address"] == "10.0.0.1" for row in rows)
    for call in (queries.get, queries.delete, queries.rotate_secret, queries.send_test):
        with pytest.raises(QueryError, match="no webhook"):
            await call(GetWebhook(webhook_id=created.webhook.id))


async def test_pages_hold_everything_once(queries: WebhookQueries, receiver: Receiver) -> None:
    """Webhooks by cursor, oldest first; deliveries newest first."""
    created = [await create(queries, receiver) for _ in range(5)]
    found, cursor = [], None
    while True:
        page = await queries.list_webhooks(ListWebhooks(limit=2, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [each.id for each in found] == [each.webhook.id for each in created]
    sent = [await queries.send_test(GetWebhook(webhook_id=found[0].id)) for _ in range(3)]
    first = await queries.list_deliveries(ListDeliveries(webhook_id=found[0].id, limit=2))
    rest = await queries.list_deliveries(
        ListDeliveries(webhook_id=found[0].id, limit=2, cursor=first.next_cursor)
    )
    assert [each.id for each in (*first.items, *rest.items)] == [each.id for each in reversed(sent)]
    assert (first.total, rest.next_cursor) == (3, None)


async def test_what_is_no_event_becomes_a_dead_letter(pool: Pool) -> None:
    """Neither a broken envelope nor a broken body stops the consumer."""
    for message in (SimpleNamespace(raw_message=SimpleNamespace(headers={}, data=b"{}")), event(body=b"{")):
        with pytest.raises(PermanentError):
            await EventIntake(pool).handle_event(cast("Any", message))


@given(st.integers(1, MAX_ATTEMPTS), st.one_of(st.none(), st.integers(300, 599)), st.integers(0, 10**6))
def test_pauses_grow_and_end(attempts: int, status: int | None, asked: int) -> None:
    """Every failed attempt is followed by a pause of the schedule or by the end, and Retry-After only lengthens it."""
    attempt = Attempt(status, "failed", timedelta(seconds=asked))
    step = next_step(attempt, attempts, Random(1))
    assert not step.delivered
    if status == 410 or attempts == MAX_ATTEMPTS:
        assert (step.pause, bool(step.disable)) == (None, True)
    else:
        assert step.pause is not None
        assert PAUSES[attempts - 1] <= step.pause <= max(PAUSES[attempts - 1] * 1.2, PAUSES[-1])


def test_patterns_match_types() -> None:
    """A type, all of a kind, or everything; a prefix of a word is no kind."""
    assert matches("analysis.completed", ["deploy.*", "analysis.completed"])
    assert matches("deploy.rolled_back", ["deploy.*"])
    assert matches("track.uploaded", ["*"])
    assert not matches("deployment.x", ["deploy.*"])
    assert not matches("track.uploaded", ["track.upload"])
