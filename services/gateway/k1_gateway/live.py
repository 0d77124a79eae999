"""Progress of one job as server-sent events."""

from typing import Final

from aiohttp import web
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts import subjects
from k1_contracts.commands import JobProgress
from k1_contracts.queries import GetJob, JobView
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint
from k1_gateway.parsing import read_question
from k1_platform.rpc import AnswerError
from k1_platform.service import STOPPING

_ENDED: Final = frozenset({"completed", "failed", "cancelled"})
_LOOK_EVERY_S: Final = 0.5
_MOST_WAITING: Final = 64
_ALL_DONE: Final = 100.0


async def job_events(api: Api, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
    """A `job` event at the start and at the end, `progress` events between, then the stream ends.

    Progress may be lost by design, so without news the job itself is looked at twice a second. When the
    gateway ends, so does the stream; the client's EventSource connects anew.
    """
    question = read_question(request, GetJob)
    news = await api.bus.client.subscribe(
        subjects.live_job(question.job_id), pending_msgs_limit=_MOST_WAITING
    )
    try:
        # Asked for after the subscription, so that nothing falls between.
        view = await api.ask(endpoint.subject, question)
        response = web.StreamResponse(headers={**api.edge.headers(request), "Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await _send(response, "job", view)
        while not _has_ended(view) and not request.app[STOPPING].is_set():
            message = await _next(news)
            if message is not None:
                await _send(response, "progress", message.data)
            if message is None or _is_last(message):
                view = await _look(api, endpoint, question, view)
                await response.write(b": waiting\n\n")
        await _send(response, "job", view)
    finally:
        await news.unsubscribe()
    await response.write_eof()
    return response


async def _look(api: Api, endpoint: Endpoint, question: GetJob, known: bytes) -> bytes:
    """The job now; while its owner is away, as it was."""
    try:
        return await api.ask(endpoint.subject, question)
    except AnswerError:
        return known


async def _next(news: Subscription) -> Msg | None:
    try:
        return await news.next_msg(timeout=_LOOK_EVERY_S)
    except NatsTimeoutError:
        return None


async def _send(response: web.StreamResponse, event: str, data: bytes) -> None:
    await response.write(b"event: %s\ndata: %s\n\n" % (event.encode(), data))


def _has_ended(view: bytes) -> bool:
    return JobView.model_validate_json(view).status in _ENDED


def _is_last(message: Msg) -> bool:
    return JobProgress.model_validate_json(message.data).percent >= _ALL_DONE
