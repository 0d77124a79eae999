"""Answers a repeated change with the answer of the first one, where the client names it by an Idempotency-Key.

Only answers of success are kept: after a problem the same key tries again. It does so too where nobody knows whether
the change was made (500, 503, 504), as the owners of the data have no part in this.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from k1_contracts.actors import Actor
from k1_gateway.errors import ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import idempotency_key, read_raw
from k1_gateway.repeats.answer_store import AnswerStore, Place
from k1_gateway.repeats.sealing import Answer, RepeatKey

_GRACE_S: Final = 30.0
"""How much longer than its queries a request may last."""
_log = logging.getLogger(__name__)


async def answer_once(
    context: GatewayContext,
    request: web.Request,
    endpoint: Endpoint,
    actor: Actor,
    call: Callable[[], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Call the handler, or return what it answered to the same caller for the same key.

    Raises:
        ProblemError: `idempotency_key_reused` (422), `request_in_progress` (409), or the key has a wrong length.
    """
    text = idempotency_key(request)
    if text is None:
        return await call()
    kind = "user" if actor.kind == "key" else actor.kind  # the keys of a user are the user
    key = RepeatKey.of(f"{kind}:{actor.id}", text)
    store = AnswerStore(context.bus.jetstream, time.time)
    fingerprint = key.fingerprint(await _parts(request, endpoint))
    begun = await store.begin(key, fingerprint, endpoint.timeout_s + _GRACE_S)
    if isinstance(begun, Answer):
        return web.Response(status=begun.status, headers=begun.headers, body=begun.body)
    return await _answer_first(store, begun, call)


async def _answer_first(
    store: AnswerStore, place: Place, call: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = await call()
    except Exception:
        await _try(store.abandon(place))
        raise
    body = response.body if isinstance(response, web.Response) else None
    assert body is None or isinstance(body, bytes), "a change answers at once"
    await _try(store.finish(place, Answer(response.status, dict(response.headers), body or b"")))
    return response


async def _try(storing: Awaitable[None]) -> None:
    """Do without the store where it fails: the change is made, or its problem is what the client must see."""
    try:
        await storing
    except ProblemError as error:
        _log.warning("the answer is not kept", extra={"reason": repr(error.__cause__)})


async def _parts(request: web.Request, endpoint: Endpoint) -> tuple[bytes, ...]:
    """Return what makes a request another one."""
    names = ("If-Match", *endpoint.request_headers)
    headers = [f"{name}:{request.headers.get(name, '')}".encode(errors="surrogateescape") for name in names]
    body = await read_raw(request) if endpoint.takes_json else b""
    return (request.method.encode(), request.path_qs.encode(errors="surrogateescape"), *headers, body)
