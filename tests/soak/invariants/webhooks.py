"""Checks what the receiver of webhooks got, against accepted requests, the stream of events and the service's records."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from k1_contracts import streams
from k1_contracts.durables import WEBHOOKS
from tests.soak.activities import Activities
from tests.soak.receiver import SUBSCRIPTION
from tests.support.bus import connected_client, read_stream
from tests.support.system import System

_SHOWN: Final = 5


def uploads_were_delivered(system: System, activities: Activities) -> Iterator[str]:
    """The two events of every accepted upload were accepted by the receiver; none came for a track that is not there."""
    arrived = activities.receiver.received.values()
    for kind in ("track.uploaded", "analysis.completed"):
        tracks = {each.data["track_id"] for each in arrived if each.type == kind and each.accepted}
        missing = activities.uploads.keys() - tracks
        yield from (f"{kind} of {track} was not delivered" for track in sorted(missing)[:_SHOWN])
    stored = {row["id"] for row in system.sql("SELECT id FROM catalogue.tracks")}
    unknown = {each.data["track_id"] for each in arrived} - stored
    yield from (
        f"an event of {track} was delivered, which does not exist" for track in sorted(unknown)[:_SHOWN]
    )


def events_were_delivered_as_one(system: System, activities: Activities) -> Iterator[str]:
    """Each event that the webhook subscribes to was accepted under one id, and nothing else arrived."""
    events = asyncio.run(_published(system))
    arrived = Counter(_event(each.type, each.data) for each in activities.receiver.received.values())
    accepted = Counter(
        _event(each.type, each.data) for each in activities.receiver.received.values() if each.accepted
    )
    for (kind, data), count in list((events - accepted).items())[:_SHOWN]:
        yield f"{count} of {kind} {data} not delivered"
    for (kind, data), count in list((arrived - events).items())[:_SHOWN]:
        yield f"{kind} {data} arrived under {count} ids too many"


async def _published(system: System) -> Counter[tuple[str, str]]:
    """Return the events on the stream; one that was published twice counts once."""
    wanted = {each.removesuffix("*") for each in SUBSCRIPTION}
    subjects = [each for each in WEBHOOKS.filters if each in wanted or f"{each.partition('.')[0]}." in wanted]
    async with connected_client(system.stack.bus) as client:
        messages = [each for name in subjects for each in await read_stream(client, streams.EVENTS, name)]
    by_id = {(each.headers or {})["ce-id"]: each for each in messages}
    return Counter(_event(each.subject, json.loads(each.data)) for each in by_id.values())


def _event(kind: str, data: dict[str, Any]) -> tuple[str, str]:
    return kind, json.dumps(data, sort_keys=True)


def requests_were_right(_: System, activities: Activities) -> Iterator[str]:
    """Every request had a valid signature and, under its id, the same body."""
    yield from activities.receiver.wrong[:_SHOWN]


def records_agree_with_the_receiver(system: System, activities: Activities) -> Iterator[str]:
    """The service knows the deliveries that arrived and no other, has delivered each, and counts no attempt too many."""
    receiver = activities.receiver
    webhook = system.get(f"/webhooks/{receiver.webhook_id}")
    if not webhook["enabled"]:
        yield f"the webhook is disabled: {webhook.get('disabled_reason')}"
    recorded = {each["id"]: each for each in _recorded(system, receiver.webhook_id)}
    for each in sorted(recorded.keys() ^ receiver.received.keys())[:_SHOWN]:
        yield f"{each} {'did not arrive' if each in recorded else 'is not recorded'}"
    for each in recorded.values():
        if each["status"] != "delivered":
            yield f"{each['id']} is {each['status']} after {each['attempts']} attempts: {each.get('last_error')}"
    for name in recorded.keys() & receiver.received.keys():
        arrived, attempts = receiver.received[name], recorded[name]["attempts"]
        if recorded[name]["status"] == "delivered" and not arrived.accepted:
            yield f"{name} counts as delivered, and was not accepted"
        if attempts > arrived.requests:
            yield f"{name} has {attempts} attempts recorded, {arrived.requests} arrived"


def _recorded(system: System, webhook_id: str) -> Iterator[dict[str, Any]]:
    path = f"/webhooks/{webhook_id}/deliveries?limit=200"
    page = system.get(path)
    while True:
        yield from page["items"]
        if not page.get("next_cursor"):
            return
        page = system.get(f"{path}&cursor={page['next_cursor']}")
