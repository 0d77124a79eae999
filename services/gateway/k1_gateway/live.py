"""What happens to a job or a deployment as server-sent events, until it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts import subjects
from k1_contracts.base import Contract
from k1_contracts.commands import JobProgress
from k1_contracts.deployments import ENDED, DeploymentChange, DeploymentSummary
from k1_contracts.queries import JobView
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint, Respond
from k1_gateway.parsing import read_question
from k1_platform.rpc import AnswerError
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
    """The stream of one thing; when the gateway ends, so does the stream, and an EventSource connects anew."""

    async def events(api: Api, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        assert endpoint.question is not None
        question = read_question(request, endpoint.question)
        channel = watched.channel(getattr(question, watched.id_field))
        news = await api.bus.client.subscribe(channel, pending_msgs_limit=watched.most_waiting)
        try:
            # Asked for after the subscription, so that nothing falls between.
            view = await api.ask(endpoint.subject, question)
            response = await _open(api, request)
            await _send(response, watched.view_event, view)
            while not watched.has_ended(view) and not request.app[STOPPING].is_set():
                message = await _next(news, watched.look_every_s)
                if message is not None:
                    await _send(response, watched.news_event, message.data)
                if message is None or watched.may_end(message.data):
                    view = await _look(api, endpoint, question, view)
                    await response.write(b": waiting\n\n")
            await _send(response, watched.view_event, view)
        finally:
            await news.unsubscribe()
        await response.write_eof()
        return response

    return events


async def _open(api: Api, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={**api.edge.headers(request), "Cache-Control": "no-store"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


async def _look(api: Api, endpoint: Endpoint, question: Contract, known: bytes) -> bytes:
    """The view now; while its owner is away, as it was."""
    try:
        return await api.ask(endpoint.subject, question)
    except AnswerError:
        return known


async def _next(news: Subscription, within_s: float) -> Msg | None:
    try:
        return await news.next_msg(timeout=within_s)
    except NatsTimeoutError:
        return None


async def _send(response: web.StreamResponse, event: str, data: bytes) -> None:
    await response.write(b"event: %s\ndata: %s\n\n" % (event.encode(), data))


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
