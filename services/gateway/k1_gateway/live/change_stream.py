"""The changes of one job or deployment as server-sent events, until it ends."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts.base import Contract
from k1_contracts.messages.analysis import JOB_PROGRESSED, JobProgress, JobView
from k1_contracts.messages.deploy.deployment_queries import DeploymentSummary
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED, ENDED, DeploymentChange
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint, EndpointHandler
from k1_gateway.http.request_parsing import build_query
from k1_gateway.http.session_end import SESSION_END, SessionEnd
from k1_gateway.live.sse import (
    END_ID,
    encode_session_end,
    last_event_id,
    open_stream,
    stream_ended_response,
)
from k1_platform.nats.queries.rpc import QueryError

_COMPLETE_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How one kind of object is streamed: its view first and last, its changes between."""

    view_event: str
    """The name of the events that hold the view."""
    change_event: str
    """The name of the events that hold a change."""
    id_field: str
    """The field of the endpoint's query that holds the id of the object."""
    subject_of: Callable[[str], str]
    """Return the subject of the changes, from the id."""
    has_ended: Callable[[bytes], bool]
    """Return whether the view is the last one."""
    may_end: Callable[[bytes], bool]
    """Return whether the view should be read again after this change."""
    poll_interval_s: float
    """Changes are live messages, which may be lost: after so long without one, the view is read again."""
    buffer_size: int
    """Changes that are kept for a slow client."""


def make_stream_handler(spec: StreamSpec) -> EndpointHandler:
    """Return the handler that streams one object. When the gateway stops, the stream ends and the client reconnects.

    Events are numbered; the last has the id `end`. A client that comes back with the id `end` gets 204. A client that
    comes back with another id gets the view first, which includes every change that it missed.
    """

    async def handle(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        assert endpoint.query is not None
        query = build_query(request, endpoint.query.model)
        subject = spec.subject_of(getattr(query, spec.id_field))
        changes = await context.bus.client.subscribe(subject, pending_msgs_limit=spec.buffer_size)
        try:
            # Read after the subscription, so that no change is lost between the two.
            view = await context.send_query(endpoint.query, query)
            if last_event_id(request) == END_ID and spec.has_ended(view):
                return stream_ended_response()
            response = await open_stream(context, request)
            if request.method != "HEAD":
                stream = _ChangeStream(spec, context, endpoint, query, changes)
                writer = _EventWriter(response, last_event_id(request))
                with suppress(ConnectionError):  # a client that disconnects ends only its own stream
                    await stream.run(writer, view, request[SESSION_END])
        finally:
            await changes.unsubscribe()
        return response

    return handle


class _EventWriter:
    """Writes events whose ids continue from the last id of the client's previous connection."""

    def __init__(self, response: web.StreamResponse, last_id: str | None) -> None:
        self.response = response
        known = re.fullmatch(r"[0-9]{1,12}", last_id or "")
        self._number = int(known[0]) if known else 0

    async def send(self, event: str, data: bytes, *, is_last: bool = False) -> None:
        self._number += 1
        number = END_ID if is_last else str(self._number)
        chunk = b"event: %s\nid: %s\ndata: %s\n\n" % (event.encode(), number.encode(), data)
        await self.response.write(chunk)


@dataclass(frozen=True, slots=True)
class _ChangeStream:
    spec: StreamSpec
    context: GatewayContext
    endpoint: Endpoint
    query: Contract
    changes: Subscription

    async def run(self, writer: _EventWriter, view: bytes, end: SessionEnd) -> None:
        """Send the view, then the changes, then the view again when the object has ended or the gateway stops.

        When the session of the reader ends, `session_ended` is the last event instead.
        """
        has_ended = self.spec.has_ended
        if not has_ended(view):
            await writer.send(self.spec.view_event, view)
        while not has_ended(view) and not end.is_set():
            change = await _next_change(self.changes, self.spec.poll_interval_s)
            if change is not None:
                await writer.send(self.spec.change_event, change.data)
            if change is None or self.spec.may_end(change.data):
                view = await self._fetch_view(view)
                await writer.response.write(b": waiting\n\n")
        if end.is_signed_out:
            await writer.response.write(encode_session_end(end))
        else:
            await writer.send(self.spec.view_event, view, is_last=has_ended(view))

    async def _fetch_view(self, known: bytes) -> bytes:
        """Return the current view, or the known one when the owner does not respond."""
        try:
            assert self.endpoint.query is not None
            return await self.context.send_query(self.endpoint.query, self.query)
        except QueryError:
            return known


async def _next_change(changes: Subscription, timeout_s: float) -> Msg | None:
    try:
        return await changes.next_msg(timeout=timeout_s)
    except NatsTimeoutError:
        return None


def _status_is_in(model: Any, statuses: frozenset[Any]) -> Callable[[bytes], bool]:
    return lambda body: model.model_validate_json(body).status in statuses


job_events = make_stream_handler(
    StreamSpec(
        view_event="job",
        change_event="progress",
        id_field="job_id",
        subject_of=JOB_PROGRESSED.subject_for,
        has_ended=_status_is_in(JobView, frozenset({"completed", "failed", "cancelled"})),
        may_end=lambda change: JobProgress.model_validate_json(change).percent >= _COMPLETE_PERCENT,
        poll_interval_s=0.5,
        buffer_size=64,
    )
)
deployment_events = make_stream_handler(
    StreamSpec(
        view_event="deployment",
        change_event="change",
        id_field="deployment_id",
        subject_of=DEPLOYMENT_CHANGED.subject_for,
        has_ended=_status_is_in(DeploymentSummary, ENDED),
        may_end=_status_is_in(DeploymentChange, ENDED),
        poll_interval_s=2.0,
        # A thousand devices may change their step at the same moment.
        buffer_size=10_000,
    )
)
