"""What happens to a job or a deployment as server-sent events, until it ends."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts import subjects
from k1_contracts.base import Contract
from k1_contracts.messages.analysis import JobProgress, JobView
from k1_contracts.messages.deployment_queries import DeploymentSummary
from k1_contracts.messages.deployments import ENDED, DeploymentChange
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint, Respond
from k1_gateway.parsing import read_question
from k1_gateway.sse import END, last_event_id, nothing_more, open_stream
from k1_platform.nats.rpc import QueryError
from k1_platform.service import STOPPING

_ALL_DONE: Final = 100.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What can be watched: its view comes at both ends of the stream, its news between."""

    view_event: str
    news_event: str
    id_field: str
    """Of the endpoint's question."""
    channel: Callable[[str], str]
    """The subject of the news, from the id."""
    has_ended: Callable[[bytes], bool]
    """Whether this view is the last."""
    may_end: Callable[[bytes], bool]
    """Whether after this piece of news the view is worth a look."""
    look_every_s: float
    """News may be lost by design: without any for so long, the view is asked for."""
    most_waiting: int
    """Pieces of news kept for a slow client."""


def watch(watched: Watched) -> Respond:
    """The stream of one thing; when the gateway ends, so does the stream, and an EventSource connects again.

    Events are numbered, and the last has the id `end`. Whoever comes back after that gets 204, whoever comes back
    after another id gets the view first, which says all that was missed.
    """

    async def events(api: Api, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        assert endpoint.question is not None
        question = read_question(request, endpoint.question)
        channel = watched.channel(getattr(question, watched.id_field))
        news = await api.bus.client.subscribe(channel, pending_msgs_limit=watched.most_waiting)
        try:
            # Asked for after the subscription, so that nothing falls between.
            view = await api.ask(endpoint.subject, question)
            if last_event_id(request) == END and watched.has_ended(view):
                return nothing_more()
            response = await open_stream(api, request)
            if request.method != "HEAD":
                follower = _Follower(watched, api, endpoint, question, news)
                out = _Numbered(response, last_event_id(request))
                with suppress(ConnectionError):  # a client that went away ends its own stream
                    await follower.run(out, view, request.app[STOPPING])
        finally:
            await news.unsubscribe()
        return response

    return events


class _Numbered:
    """Writes events with ids that go on where the client's last connection ended."""

    def __init__(self, response: web.StreamResponse, last_id: str | None) -> None:
        self.response = response
        known = re.fullmatch(r"[0-9]{1,12}", last_id or "")
        self._number = int(known[0]) if known else 0

    async def send(self, event: str, data: bytes, *, is_last: bool = False) -> None:
        self._number += 1
        number = END if is_last else str(self._number)
        chunk = b"event: %s\nid: %s\ndata: %s\n\n" % (event.encode(), number.encode(), data)
        await self.response.write(chunk)


@dataclass(frozen=True, slots=True)
class _Follower:
    watched: Watched
    api: Api
    endpoint: Endpoint
    question: Contract
    news: Subscription

    async def run(self, out: _Numbered, view: bytes, stopping: asyncio.Event) -> None:
        """Send the view, what happens, and the view again when it has ended or the gateway stops."""
        has_ended = self.watched.has_ended
        if not has_ended(view):
            await out.send(self.watched.view_event, view)
        while not has_ended(view) and not stopping.is_set():
            message = await _next(self.news, self.watched.look_every_s)
            if message is not None:
                await out.send(self.watched.news_event, message.data)
            if message is None or self.watched.may_end(message.data):
                view = await _look(self.api, self.endpoint, self.question, view)
                await out.response.write(b": waiting\n\n")
        await out.send(self.watched.view_event, view, is_last=has_ended(view))


async def _look(api: Api, endpoint: Endpoint, question: Contract, known: bytes) -> bytes:
    """The view now; while its owner is away, as it was."""
    try:
        return await api.ask(endpoint.subject, question)
    except QueryError:
        return known


async def _next(news: Subscription, within_s: float) -> Msg | None:
    try:
        return await news.next_msg(timeout=within_s)
    except NatsTimeoutError:
        return None


def _status_in(model: Any, ended: frozenset[Any]) -> Callable[[bytes], bool]:
    return lambda body: model.model_validate_json(body).status in ended


job_events = watch(
    Watched(
        "job",
        "progress",
        id_field="job_id",
        channel=subjects.live_job,
        has_ended=_status_in(JobView, frozenset({"completed", "failed", "cancelled"})),
        may_end=lambda news: JobProgress.model_validate_json(news).percent >= _ALL_DONE,
        look_every_s=0.5,
        most_waiting=64,
    )
)
deployment_events = watch(
    Watched(
        "deployment",
        "change",
        id_field="deployment_id",
        channel=subjects.live_deployment,
        has_ended=_status_in(DeploymentSummary, ENDED),
        may_end=_status_in(DeploymentChange, ENDED),
        look_every_s=2.0,
        # A thousand devices change their step at one moment.
        most_waiting=10_000,
    )
)
