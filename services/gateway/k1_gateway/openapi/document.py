"""Makes the OpenAPI 3.1 document from the table of endpoints and the models of the contracts."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel

from k1_contracts.documents.json_schema import COMPONENT_REF
from k1_gateway.errors import RETRYABLE_STATUSES, Problem
from k1_gateway.http.endpoint import BASE_PATH, Endpoint, HeaderText
from k1_gateway.http.problem_texts import INVALID, SHARED, SHARED_RESPONSES
from k1_gateway.http.request_parsing import COMMA_LISTS, MAX_KEY_LENGTH
from k1_gateway.openapi.schemas import (
    body_name,
    fields_of,
    make_schemas,
    required_body_fields,
    share_types,
)
from k1_platform.http.problems import PROBLEM_CONTENT_TYPE

_PATH_FIELD: Final = re.compile(r"{(\w+)}")
_BINARY: Final = {"type": "string", "format": "binary"}
_EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final = {
    "RequestId": {
        "description": "The request's own X-Request-Id, or the trace id.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "TraceId": {
        "description": "The id of the request in the logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "ETag": {
        "description": "The tag of this content.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[^"]+"$'},
    },
    "RetryAfter": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWWAuthenticate": {
        "description": "How to authenticate (RFC 9110).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer "},
    },
    "Location": {
        "description": "Where the browser goes on.",
        "required": True,
        "schema": {"type": "string"},
    },
    "RateLimitPolicy": {
        "description": "The allowance of this caller: `q` requests in `w` seconds.",
        "schema": {"type": "string", "pattern": '^"[a-z]+";q=[0-9]+;w=[0-9]+$'},
    },
    "RateLimit": {
        "description": "The rest of the allowance: `r` requests now, all of them after `t` seconds.",
        "schema": {"type": "string", "pattern": '^"[a-z]+";r=[0-9]+;t=[0-9]+$'},
    },
}
_SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of `POST /auth/login`, an API key (`k1_...`), or a token of a trusted OpenID "
        "Connect issuer.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-k1-access",
        "description": "Set by `POST /auth/login` with `cookies: true`; without TLS its name is `k1-access`. With it, "
        "every request that changes something must have the header `X-K1-CSRF: 1`.",
    },
}
_WITH_RETRY_AFTER: Final = {*RETRYABLE_STATUSES, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT}
_ALLOWANCE: Final = ("RateLimit-Policy", "RateLimit")
Json = dict[str, Any]


def make_document(endpoints: Iterable[Endpoint]) -> Json:
    """Return the whole document."""
    endpoints = tuple(endpoints)
    paths: Json = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "K1 Song Analysis",
            "version": version("k1-gateway"),
            "description": "Upload songs, read their Genesis maps, deploy shows to devices. Errors are RFC 9457 problems with a stable `code`. "
            "Unknown parameters and unknown fields of a body are rejected. "
            "Every response carries `X-Request-Id` and `X-Trace-Id`. Every path with GET also has HEAD.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": BASE_PATH}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in endpoints)],
        "paths": paths,
        "components": {
            "schemas": make_schemas(endpoints),
            "responses": {
                name: _problem_response(status, SHARED[status]) for status, name in SHARED_RESPONSES.items()
            },
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    own = {status: _response(endpoint, status, *response) for status, response in endpoint.responses.items()}
    found = own | _problems(endpoint)
    for status, headers in endpoint.response_headers.items():
        found[status]["headers"] |= {name: _response_header(text) for name, text in headers.items()}
    if endpoint.cacheable:
        description = "The client holds this content"
        found[304] = {"description": description, "headers": _response_headers("ETag")}
    operation: Json = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        **_access(endpoint),
        "parameters": [*_parameters(endpoint), *_headers(endpoint)],
        "responses": {str(status): response for status, response in found.items()},
    }
    if content := _request_content(endpoint):
        is_required = not endpoint.body_fields or bool(required_body_fields(endpoint))
        operation["requestBody"] = {"required": is_required, "content": content}
    return operation


def _access(endpoint: Endpoint) -> Json:
    """Return who may call it."""
    if endpoint.public:
        return {"security": []}
    schemes = [{name: []} for name in _SECURITY_SCHEMES]
    return {"description": f"Needs the role {endpoint.least_role}.", "security": schemes}


def _problems(endpoint: Endpoint) -> dict[int, Json]:
    """Return the endpoint's own problems and those of every endpoint. A shared text becomes a reference."""
    found: dict[int, Json] = {}
    general = endpoint.general_problems()
    for status in sorted({*endpoint.problems, *general}):
        text = endpoint.problems.get(status)
        if text is None and status not in SHARED:
            found[status] = _problem_response(status, general[status])
        elif status == HTTPStatus.UNPROCESSABLE_ENTITY and status in general:
            found[status] = _problem_response(status, f"{text or INVALID[status]}; {general[status]}")
        elif text is None or text == SHARED.get(status):
            found[status] = {"$ref": f"#/components/responses/{SHARED_RESPONSES[status]}"}
        else:
            texts = (text, general.get(status))
            found[status] = _problem_response(status, "; ".join(filter(None, texts)))
    return found


def _parameters(endpoint: Endpoint) -> Iterable[Json]:
    in_path = _PATH_FIELD.findall(endpoint.path)
    if endpoint.query_model is None:
        return
    fields = fields_of(endpoint.query_model, (*in_path, *endpoint.query_params))
    for name, schema in fields.items():
        parameter: Json = {"name": name, "in": "path" if name in in_path else "query"}
        parameter["required"] = name in in_path
        if description := schema.pop("description", None):
            parameter["description"] = description
        if name in COMMA_LISTS:
            parameter |= {"style": "form", "explode": False}
        yield parameter | {"schema": share_types(schema)}


def _headers(endpoint: Endpoint) -> Iterable[Json]:
    if endpoint.takes_idempotency_key:
        text = "A repeated request with the same key gets the first response again."
        yield _header(
            "Idempotency-Key", text, {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}
        )
    if endpoint.takes_if_match:
        text = "The ETag of the copy that was edited: 412 when another edit came first."
        yield _header("If-Match", text, {"type": "string"})
    if endpoint.cacheable:
        yield _header("If-None-Match", "The ETag of the copy that the client holds.", {"type": "string"})
    if endpoint.takes_range:
        yield _header("Range", "The part to send, one range of bytes: 206.", {"type": "string"})
        yield _header(
            "If-Range", "The ETag of the part that the client holds: 200 if it differs.", {"type": "string"}
        )
    if endpoint.takes_last_event_id:
        schema: Json = {"type": "string"}
        if endpoint.query_model is not None and "last_event_id" in endpoint.query_params:
            schema = fields_of(endpoint.query_model, ("last_event_id",))["last_event_id"]
            schema.pop("description", None)
        yield _header(
            "Last-Event-ID", "The `id` of the last event received; an EventSource sends it.", schema
        )

    for name, text in endpoint.request_headers.items():
        schema = {"type": "string", "pattern": text.pattern}
        yield _header(name, text.description, schema) | {"required": text.required}


def _response_header(text: HeaderText) -> Json:
    schema = {"type": "string", "pattern": text.pattern}
    return {"description": text.description, "required": text.required, "schema": schema}


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _request_content(endpoint: Endpoint) -> Json:
    if endpoint.body_media_type is not None:
        return {endpoint.body_media_type: {"schema": _BINARY}}
    if endpoint.form is not None:
        return {"multipart/form-data": {"schema": _ref(endpoint.form.__name__)}}
    if endpoint.document is not None:
        return {"application/json": {"schema": _ref(endpoint.document[1].__name__)}}
    if endpoint.body_fields:
        return {"application/json": {"schema": _ref(body_name(endpoint))}}
    return {}


def _response(endpoint: Endpoint, status: int, description: str, model: type[BaseModel] | None) -> Json:
    has_body = model is not None or bool(endpoint.binary_types)
    tagged = has_body and (endpoint.cacheable or endpoint.takes_if_match)
    limited = endpoint.limit is not None and endpoint.media_type != _EVENT_STREAM
    location = ["Location"] if status == HTTPStatus.FOUND else []
    names = [*(["ETag"] if tagged else []), *location, *(_ALLOWANCE if limited else [])]
    response: Json = {"description": description, "headers": _response_headers(*names)}
    if model is not None:
        response["content"] = {endpoint.media_type: {"schema": _body_schema(endpoint, model)}}
    if endpoint.binary_types:
        response["content"] = response.get("content", {}) | {
            kind: _file_content(kind) for kind in endpoint.binary_types
        }
    return response


def _file_content(media_type: str) -> Json:
    """Return the description of a file, or a part of one. A JSON file has no schema: it is no text, and may be any."""
    return {} if media_type.endswith("json") else {"schema": _BINARY}


def _body_schema(endpoint: Endpoint, model: type[BaseModel]) -> Json:
    """Return the schema of a body. A stream is text in HTTP; its `contentSchema` describes one event."""
    schema = _ref(model.__name__)
    if endpoint.media_type != _EVENT_STREAM:
        return schema
    return {"type": "string", "contentMediaType": _EVENT_STREAM, "contentSchema": schema}


def _problem_response(status: int, text: str) -> Json:
    return {
        "description": text,
        "headers": _response_headers(
            *(["Retry-After"] if status in _WITH_RETRY_AFTER else []),
            *(_ALLOWANCE if status == HTTPStatus.TOO_MANY_REQUESTS else []),
            *(["WWW-Authenticate"] if status == HTTPStatus.UNAUTHORIZED else []),
        ),
        "content": {PROBLEM_CONTENT_TYPE: {"schema": _ref(Problem.__name__)}},
    }


def _response_headers(*names: str) -> Json:
    return {
        name: {"$ref": f"#/components/headers/{name.replace('-', '').removeprefix('X')}"}
        for name in ("X-Request-Id", "X-Trace-Id", *names)
    }


def _ref(model: str) -> Json:
    return {"$ref": COMPONENT_REF.format(model=model)}
