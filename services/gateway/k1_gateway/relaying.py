"""Endpoints that only ask the owner and pass its answer on."""

from aiohttp import web

from k1_contracts.messages.tracks import GetGenesis
from k1_gateway.api import Api
from k1_gateway.caching import cacheable, held_tags, not_modified, tagged
from k1_gateway.endpoints import Endpoint
from k1_gateway.parsing import idempotency_key, read_fields, read_question
from k1_platform.nats.rpc_documents import request_document
from k1_platform.processes.threads import in_thread


async def relay(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Ask the owner, pass its answer on."""
    assert endpoint.question is not None
    extra = await read_fields(request, endpoint.body) if endpoint.method == "POST" else {}
    key = idempotency_key(request) if endpoint.takes_key else None
    if "idempotency_key" in endpoint.question.model_fields:
        extra["idempotency_key"] = key
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
    found = await request_document(api.bus.broker, endpoint.subject, question)
    if found.body is None:
        return not_modified(found.etag)
    headers = {**tagged(found.etag), "Vary": "Accept-Encoding"}
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=found.body, content_type="application/json", headers=headers)
    plain = await in_thread(found.json)
    return web.Response(body=plain, content_type="application/json", headers=headers)


def _takes_gzip(request: web.Request) -> bool:
    for item in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in {"gzip", "*"}:
            quality = parameters.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False
