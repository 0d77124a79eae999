"""OpenAPI 3.1 from the route table and the contracts' models.

`python -m k1_gateway.openapi FILE` writes the committed copy.
"""

import json
import re
import sys
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from k1_gateway.endpoints import BASE_PATH, Endpoint
from k1_gateway.parsing import COMMA_LISTS, LONGEST_KEY
from k1_gateway.problems import CONTENT_TYPE, Problem
from k1_gateway.routes import ENDPOINTS

_REF: Final = "#/components/schemas/{model}"
_PATH_FIELD: Final = re.compile(r"{(\w+)}")
Json = dict[str, Any]


def make_document(endpoints: Iterable[Endpoint]) -> Json:
    """The whole document."""
    endpoints = tuple(endpoints)
    paths: Json = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "K1 Song Analysis",
            "version": version("k1-gateway"),
            "description": "Songs in, Genesis maps out. Errors are RFC 9457 problems with a stable `code`. "
            "Unknown parameters are refused. Every answer carries `X-Request-Id` and `X-Trace-Id`. "
            "HEAD is answered wherever GET is.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": BASE_PATH}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in endpoints)],
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoints),
            "responses": {"Problem": _problem_response("An error")},
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": [*_parameters(endpoint), *_headers(endpoint)],
        "responses": {
            **{
                str(status): _answer(endpoint, status, *answer) for status, answer in endpoint.answers.items()
            },
            **({"304": {"description": "The client holds this content"}} if endpoint.cacheable else {}),
            **{
                str(status): _problem_response(text)
                for status, text in sorted({**endpoint.edge_problems(), **endpoint.problems}.items())
            },
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if endpoint.body or endpoint.form or endpoint.document:
        operation["requestBody"] = _request_body(endpoint)
    return operation


def _parameters(endpoint: Endpoint) -> Iterable[Json]:
    in_path = _PATH_FIELD.findall(endpoint.path)
    if endpoint.question is None:
        return
    properties: Json = endpoint.question.model_json_schema(mode="validation")["properties"]
    for name in (*in_path, *endpoint.query):
        schema = _without_null(properties[name])
        parameter: Json = {"name": name, "in": "path" if name in in_path else "query"}
        parameter["required"] = name in in_path
        if description := schema.pop("description", None):
            parameter["description"] = description
        if name in COMMA_LISTS:
            parameter |= {"style": "form", "explode": False}
        yield parameter | {"schema": schema}


def _without_null(schema: Json) -> Json:
    """A parameter is absent, never null."""
    plain = {key: value for key, value in schema.items() if key not in {"title", "anyOf"}}
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain | (choices[0] if choices else {})


def _headers(endpoint: Endpoint) -> Iterable[Json]:
    if endpoint.takes_key:
        schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
        text = "The same key with the same request gets the first answer again."
        yield {"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema}
    if endpoint.takes_match:
        text = "The ETag of the copy that was edited: refused with 412 when somebody else was faster."
        yield {"name": "If-Match", "in": "header", "description": text, "schema": {"type": "string"}}
    if endpoint.cacheable:
        text = "The ETag of the copy that the client holds."
        yield {"name": "If-None-Match", "in": "header", "description": text, "schema": {"type": "string"}}


def _request_body(endpoint: Endpoint) -> Json:
    if endpoint.form is not None:
        schema = endpoint.form.model_json_schema()
        fields = {name: _without_null(field) for name, field in schema["properties"].items()}
        fields = {"file": {"type": "string", "format": "binary"}} | fields
        form = {"type": "object", "properties": fields, "required": ["file"]}
        return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if endpoint.document is not None:
        schema = {"$ref": _REF.format(model=endpoint.document[1].__name__)}
        return {"required": True, "content": {"application/json": {"schema": schema}}}
    assert endpoint.question is not None
    properties = endpoint.question.model_json_schema(mode="validation")["properties"]
    fields = {name: _without_null(properties[name]) for name in endpoint.body}
    schema = {"type": "object", "properties": fields, "additionalProperties": False}
    return {"required": False, "content": {"application/json": {"schema": schema}}}


def _answer(endpoint: Endpoint, status: int, description: str, model: type[BaseModel] | None) -> Json:
    if status == HTTPStatus.NO_CONTENT:
        return {"description": description}
    schema = {"$ref": _REF.format(model=model.__name__)} if model else {}
    tagged = endpoint.cacheable or endpoint.takes_match
    headers = {"ETag": {"schema": {"type": "string"}}} if tagged else {}
    return {
        "description": description,
        "content": {endpoint.media_type: {"schema": schema}},
        **({"headers": headers} if headers else {}),
    }


def _problem_response(text: str) -> Json:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    return {"description": text, "content": {CONTENT_TYPE: {"schema": schema}}}


def _schemas(endpoints: Iterable[Endpoint]) -> Json:
    models = [model for endpoint in endpoints for _, model in endpoint.answers.values() if model]
    bodies = [endpoint.document[1] for endpoint in endpoints if endpoint.document]
    # Dictionaries keep the order of the table, and each model once: what is sent and answered, as it is answered.
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = dict.fromkeys(
        (model, "serialization") for model in (Problem, *models)
    )
    wanted |= dict.fromkeys((body, "validation") for body in bodies if body not in models)
    _, schema = models_json_schema(list(wanted), ref_template=_REF)
    return dict(sorted(schema["$defs"].items()))


def main() -> None:
    """Write the document to the file named on the command line."""
    text = json.dumps(make_document(ENDPOINTS), indent=2, ensure_ascii=False)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
