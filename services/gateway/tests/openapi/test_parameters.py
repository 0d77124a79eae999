"""The document and the gateway accept the same parameters and bodies."""

import asyncio
import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any, cast
from unittest.mock import Mock
from urllib.parse import quote

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_contracts.base import Contract
from k1_gateway.errors import ProblemError
from k1_gateway.handlers import ENDPOINTS
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query, read_body_fields, read_document
from k1_platform.http.server import LIMITS, ServerLimits
from k1_platform.settings import HttpSettings
from services.gateway.tests.path_values import PATH_VALUES
from services.gateway.tests.schemas import DOCUMENT
from tests.support.documents.api_document import ApiDocument, Operation

API = ApiDocument(DOCUMENT)
PARAMETERS = [
    (endpoint, parameter["name"])
    for endpoint in ENDPOINTS
    for parameter in API.document["paths"][endpoint.path][endpoint.method.lower()]["parameters"]
    if parameter["in"] in {"path", "query"}
]
TUS_HEADERS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
"""What requests of resumable uploads must have; others ignore it."""
WORDS = """0 -0 1 01 +1 1.0 1e0 1e400 -1e400 nan inf Infinity 1_0 \u0663 \uff15 200 201 1000 1001 1000000 1000001
2147483647 2147483648 9223372036854775807 9223372036854775808 86400000 86400000.5 86400001
true True yes on null [] demo-0001 \xe9 a+b/c= rhythm rhythm,dynamics rhythm, newest ready queued"""
ODD = [
    *WORDS.split(),
    *(
        "edm",
        "classical",
        "",
        " ",
        "a\x00b",
        "demo\n",
        PATH_VALUES["track_id"].lower(),
        PATH_VALUES["track_id"] + "\n",
    ),
    *PATH_VALUES.values(),
    *("x" * length for length in (40, 41, 200, 201, 400, 401)),
    "9" * 60,
]
texts = (
    st.sampled_from(ODD)
    | st.text(st.characters(codec="utf-8"), max_size=50)
    | st.integers().map(str)
    | st.floats().map(repr)
    | st.from_regex(r"[A-Za-z0-9_-]{1,42}", fullmatch=True)
)


ANALYSIS = {"preset": "edm", "priority": 5}
CONTROL = {"requested_by": "Ann", "reason": "too bright"}
ORDER = {
    "track_id": PATH_VALUES["track_id"],
    "version": 1,
    "device_ids": ["demo-0001"],
    "strategy": {"canary": 1, "batch_size": 2, "max_failures": "10%", "observe_seconds": 1.5},
    "activation": {
        "when": "downbeat",
        "track_id": PATH_VALUES["track_id"],
        "version": 1,
        "started_at": "2026-01-31T12:00:00Z",
    },
    "overrides": [{"gate": "space", "device_id": "demo-0001", "reason": "there is room enough"}],
    "requested_by": "Ann",
    "dry_run": True,
}
PATCH = {"title": "T", "artist": "A", "tags": ["a"], "preset": "edm", "notes": "n", "current_version": 2}
BATCH = {"action": "tag", "track_ids": [PATH_VALUES["track_id"]], "tags": ["a"], "preset": "edm"}
REQUIRED_IN_BODIES: dict[str, dict[str, Any]] = {
    "setJobPriority": {"priority": 5},
    "saveBeatOverride": {"beats_ms": [1.0, 500.0]},
    "previewBeats": {"operation": "double"},
}
"""What a body must name so that nothing but the tested parameter is wrong, by operation."""
BODIES = [
    ("PATCH", f"/tracks/{PATH_VALUES['track_id']}", PATCH),
    ("POST", "/tracks/batch", BATCH),
    ("POST", f"/tracks/{PATH_VALUES['track_id']}/restore", {"undo_token": "x" * 32}),
    ("POST", f"/tracks/{PATH_VALUES['track_id']}/analysis", ANALYSIS),
    ("POST", f"/deployments/{PATH_VALUES['deployment_id']}/cancel", CONTROL),
    ("POST", "/deployments", ORDER),
]
ODD_JSON = [
    *(None, True, 0, 1, 5.0, 5.5, -1, 11, 2**31, 1e300, [], ["a b"], {}),
    *("", "5", "10%", "\uff11\uff10%", "edm", "a\x00b", "x" * 101),
]


def document_accepts(name: str, text: str, operation: Operation, in_path: bool) -> bool:
    """Return whether the document accepts the text."""
    asked = Operation(operation.item, {**operation.path, name: text}) if in_path else operation
    return not list(API.parameter_faults(asked, [] if in_path else [(name, text)], TUS_HEADERS))


@cache
def plain_request(path: str) -> web.Request:
    """Return a request of an endpoint; a copy of it costs much less than another one."""
    fields = {field: value for field, value in PATH_VALUES.items() if "{" + field + "}" in path}
    return make_mocked_request("GET", "/", match_info=fields)


def gateway_accepts(endpoint: Endpoint, name: str, text: str, in_path: bool) -> bool:
    """Return whether the gateway builds a query from it."""
    query = "" if in_path else f"?{name}={quote(text, safe='')}"
    request = plain_request(endpoint.path).clone(rel_url=f"/{query}")
    request.match_info.update({field: PATH_VALUES[field] for field in request.match_info})
    if in_path:
        request.match_info[name] = text
    assert endpoint.query_model is not None
    extra = endpoint.fixed_fields | REQUIRED_IN_BODIES.get(endpoint.operation_id, {})
    try:
        build_query(request, endpoint.query_model, params=endpoint.query_params, extra=extra)
    except ProblemError as problem:
        return problem.code != "invalid_parameter"
    return True


@pytest.mark.parametrize(
    ("endpoint", "name"), PARAMETERS, ids=[f"{e.operation_id} {name}" for e, name in PARAMETERS]
)
def test_document_and_gateway_accept_the_same_texts(endpoint: Endpoint, name: str) -> None:
    """This holds for each parameter of a path or URL; every rejection is `invalid_parameter`."""
    operation = API.find(endpoint.method, endpoint.path.format_map(PATH_VALUES))
    assert operation is not None
    in_path = "{" + name + "}" in endpoint.path

    @settings(max_examples=settings().max_examples // 2)
    @given(texts)
    def agree(text: str) -> None:
        assert document_accepts(name, text, operation, in_path) == gateway_accepts(
            endpoint, name, text, in_path
        )

    agree()
    for text in ODD:
        if text or not in_path:  # a path with an empty part is another path
            agreed = document_accepts(name, text, operation, in_path) == gateway_accepts(
                endpoint, name, text, in_path
            )
            assert agreed, repr(text)
    assert not in_path or gateway_accepts(endpoint, name, PATH_VALUES[name], in_path)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of the values in a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the body with another value at one path."""
    if not path:
        return value
    copy = deepcopy(body)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[path for _, path, _ in BODIES])
async def test_document_and_gateway_accept_the_same_bodies(method: str, path: str, body: Any) -> None:
    """One value at any depth is changed, left out or added; rules over several fields are excluded."""
    operation = API.find(method, path)
    assert operation is not None
    endpoint = next(each for each in ENDPOINTS if each.operation_id == operation.item["operationId"])
    places = [place for place in leaves(body) if "started_at" not in place]
    tried = [with_value(body, place, odd) for place in places for odd in ODD_JSON]
    tried += [
        with_value(body, (*place, "colour"), 1) for place in places if isinstance(at(body, place), dict)
    ]
    for given_body in [body, *tried]:
        sent = json.dumps(given_body).encode()
        headers = {"Content-Type": "application/json"}
        faults = list(API.request_faults(operation, [], headers, sent))
        problem = await find_problem(endpoint, operation, sent)
        ruled = problem is not None and any(fault.name == "request" for fault in problem.errors)
        assert ruled or bool(faults) == bool(problem), (given_body, faults, problem)


def at(body: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        body = body[key]
    return body


async def find_problem(endpoint: Endpoint, operation: Operation, sent: bytes) -> ProblemError | None:
    """Return the gateway's problem with this body, if it rejects it."""
    payload = StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(sent)
    payload.feed_eof()
    app = web.Application()
    app[LIMITS] = ServerLimits.of(HttpSettings())
    headers = {"Content-Type": "application/json"}
    request = make_mocked_request(
        "POST", "/", headers, match_info=operation.path, payload=payload, app=app, client_max_size=2**20
    )
    try:
        if endpoint.document is not None:
            await read_document(request, cast("type[Contract]", endpoint.document[1]))
        else:
            assert endpoint.query_model is not None
            extra = await read_body_fields(request, endpoint.body_fields)
            build_query(request, endpoint.query_model, extra=extra | endpoint.fixed_fields)
    except ProblemError as problem:
        return problem
    return None
