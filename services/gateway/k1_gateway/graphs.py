"""Reading and editing a graph: the document itself is the body, its revision the entity tag."""

import json

from aiohttp import web

from k1_contracts.messages.graphs import GetGraph, GraphSaved, GraphView, PutGraph
from k1_gateway.api import Api
from k1_gateway.caching import held_tags, strongly_tagged, wanted_tags
from k1_gateway.endpoints import Endpoint
from k1_gateway.parsing import read_json, read_question


async def get_graph(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """The document as it can be put again."""
    question = read_question(request, GetGraph)
    view = GraphView.model_validate_json(await api.ask(endpoint.subject, question))
    headers = strongly_tagged(view.etag)
    if view.etag in (held := held_tags(request)) or "*" in held:
        return web.Response(status=304, headers=headers)
    body = json.dumps(view.graph, ensure_ascii=False).encode()
    return web.Response(body=body, content_type="application/json", headers=headers)


async def put_graph(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Any JSON goes to the owner, whose validator names every fault of it."""
    extra = {"graph": await read_json(request), "if_match": wanted_tags(request)}
    question = read_question(request, PutGraph, extra=extra)
    saved = GraphSaved.model_validate_json(await api.ask(endpoint.subject, question, endpoint.timeout_s))
    headers = {**strongly_tagged(saved.etag), "Cache-Control": "no-store"}
    return web.Response(body=saved.to_json(), content_type="application/json", headers=headers)
