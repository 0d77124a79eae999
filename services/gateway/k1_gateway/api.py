"""What the endpoints' functions need, and the functions that only ask the owner and pass the answer on."""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from k1_contracts.base import Contract
from k1_contracts.queries import Answer, GetGenesis
from k1_gateway.caching import cacheable, held_tags, not_modified, tagged
from k1_gateway.edge import Edge
from k1_gateway.endpoints import Endpoint
from k1_gateway.parsing import idempotency_key, read_body, read_question
from k1_gateway.settings import GatewaySettings
from k1_platform.broker import Bus
from k1_platform.rpc import ASK_TIMEOUT_S, AnswerError, ask_raw
from k1_platform.rpc_documents import ask_document

_RESULT: Final = b'{"result":'


@dataclass(frozen=True, slots=True)
class Api:
    """The gateway's connections: it owns nothing and asks the owners."""

    bus: Bus
    http: aiohttp.ClientSession
    settings: GatewaySettings
    edge: Edge
    description: bytes
    """The OpenAPI document."""

    async def ask(self, subject: str, question: Contract, timeout_s: float = ASK_TIMEOUT_S) -> bytes:
        """The JSON of the owner's result as it wrote it: parsing and writing it anew would only cost time.

        Raises:
            AnswerError: the owner's error, or that it did not answer.
        """
        reply = (await ask_raw(self.bus.broker, subject, question, timeout_s=timeout_s)).body
        if reply.startswith(_RESULT):
            return reply[len(_RESULT) : -1]
        error = Answer[Contract].model_validate_json(reply).error
        assert error is not None, "an answer without a result holds an error"
        raise AnswerError.of(error)


async def relay(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Ask the owner, pass its answer on."""
    assert endpoint.question is not None
    extra = await read_body(request, endpoint.body) if endpoint.method == "POST" else {}
    if endpoint.takes_key and "idempotency_key" in endpoint.question.model_fields:
        extra["idempotency_key"] = idempotency_key(request)
    question = read_question(request, endpoint.question, query=endpoint.query, extra=extra | endpoint.fixed)
    body = await api.ask(endpoint.subject, question, endpoint.timeout_s)
    if endpoint.cacheable:
        return cacheable(request, body)
    return fresh(body, endpoint.status)


def fresh(body: bytes, status: int) -> web.Response:
    """JSON that is true now and not to be kept."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


async def genesis(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """The map, compressed by its owner and passed on as it is to every client that takes gzip."""
    held = held_tags(request)
    extra = {"etag": held[0] if held else None}
    question = read_question(request, GetGenesis, query=endpoint.query, extra=extra)
    found = await ask_document(api.bus.broker, endpoint.subject, question)
    if found.body is None:
        return not_modified(found.etag)
    headers = {**tagged(found.etag), "Vary": "Accept-Encoding"}
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=found.body, content_type="application/json", headers=headers)
    plain = await asyncio.to_thread(found.json)
    return web.Response(body=plain, content_type="application/json", headers=headers)


def _takes_gzip(request: web.Request) -> bool:
    for item in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in {"gzip", "*"}:
            quality = parameters.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False
