"""Makes the schemas of the OpenAPI document: responses, bodies and parameters, in a form that client generators accept."""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, TypeAdapter

from k1_contracts.documents.json_schema import COMPONENT_REF, PlainJsonSchema, component_schemas
from k1_contracts.upload_form import FILE_FIELD
from k1_gateway.errors import Problem
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.named_types import NAMED_TYPES

Json = dict[str, Any]
_REFERENCE: Final = re.compile(r'"#/components/schemas/(\w+)"')
_ANY_JSON: Final = COMPONENT_REF.format(model="JsonValue")
_ANNOTATIONS: Final = frozenset({"title", "description", "default"})


def make_schemas(endpoints: Iterable[Endpoint]) -> Json:
    """Return every schema that the document refers to, by name, sorted."""
    endpoints = tuple(endpoints)
    models: list[type[BaseModel]] = [Problem]
    models += [model for endpoint in endpoints for _, model in endpoint.responses.values() if model]
    models += [endpoint.document[1] for endpoint in endpoints if endpoint.document]
    schemas = component_schemas(models)
    for endpoint in endpoints:
        if endpoint.query_model is not None:
            schemas = _schema(endpoint.query_model).get("$defs", {}) | schemas
        if endpoint.form is not None:
            schemas[endpoint.form.__name__] = _form(endpoint.form)
        if endpoint.document is not None:
            schemas[endpoint.document[1].__name__] |= {"additionalProperties": False}
        elif endpoint.body_fields:
            schemas[body_name(endpoint)] = _body(endpoint)
    received = _request_schemas(schemas)
    made = {
        name: share_types(_without_defaults(schema, is_received=name in received))
        for name, schema in schemas.items()
    }
    return dict(sorted((made | _named_schemas()).items()))


def share_types(schema: Json) -> Json:
    """Return the schema with references to the named types."""
    names = {_key(named): name for name, named in _named_schemas().items()}

    def shared(node: Any) -> Any:
        if isinstance(node, list):
            return [shared(item) for item in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        fields = cast("Json", node)
        plain = {key: value for key, value in fields.items() if key not in _ANNOTATIONS}
        if (name := names.get(_key(plain))) is not None:
            beside = {key: value for key, value in fields.items() if key in _ANNOTATIONS - {"title"}}
            return {"$ref": COMPONENT_REF.format(model=name), **beside}
        return {key: shared(value) for key, value in fields.items()}

    return shared(schema)


@cache
def _named_schemas() -> dict[str, Json]:
    return {name: TypeAdapter(type_).json_schema() for name, type_ in NAMED_TYPES.items()}


def _key(schema: Json) -> str:
    return json.dumps(schema, sort_keys=True)


def body_name(endpoint: Endpoint) -> str:
    """Return the name of the schema of a body that holds some fields of the query."""
    assert endpoint.query_model is not None
    return f"{endpoint.query_model.__name__}Body"


def fields_of(query_model: type[BaseModel], names: Iterable[str]) -> dict[str, Json]:
    """Return the schemas of these fields as parameters, which are absent rather than null."""
    properties = _schema(query_model)["properties"]
    return {name: _without_null(properties[name]) for name in names}


def _schema(model: type[BaseModel]) -> Json:
    return model.model_json_schema(
        mode="validation", ref_template=COMPONENT_REF, schema_generator=PlainJsonSchema
    )


def _body(endpoint: Endpoint) -> Json:
    assert endpoint.query_model is not None
    properties = _schema(endpoint.query_model)["properties"]
    fields = {name: properties[name] for name in endpoint.body_fields}
    required = required_body_fields(endpoint)
    return {
        "title": body_name(endpoint),
        "type": "object",
        "properties": fields,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def required_body_fields(endpoint: Endpoint) -> list[str]:
    """Return the fields that a body of some fields of the query must have."""
    if endpoint.query_model is None:
        return []
    fields = endpoint.query_model.model_fields
    return [
        name
        for name in endpoint.body_fields
        if fields[name].is_required() and name not in endpoint.fixed_fields
    ]


def _form(form: type[BaseModel]) -> Json:
    fields = fields_of(form, form.model_fields)
    file = {"type": "string", "format": "binary", "description": "The song"}
    return _schema(form) | {
        "properties": {FILE_FIELD: file, **fields},
        "required": [FILE_FIELD],
        "additionalProperties": False,
    }


def _without_null(schema: Json) -> Json:
    plain = {key: value for key, value in schema.items() if key not in {"title", "anyOf"}}
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain | (choices[0] if choices else {})


def _request_schemas(schemas: Json) -> set[str]:
    """Return the names of the schemas that request bodies use."""
    found: set[str] = set()
    pending = [name for name, schema in schemas.items() if schema.get("additionalProperties") is False]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _REFERENCE.findall(json.dumps(schemas[name]))
    return found


def _without_defaults(schema: Json, *, is_received: bool) -> Json:
    """Return the schema with each default as a sentence of the description.

    Generators misread `default`: openapi-typescript then requires the field in a body, openapi-python-client drops a
    model whose default is an object.
    """
    properties: Json = schema.get("properties", {})
    fields = {name: _default_as_text(field) for name, field in properties.items()}
    required = schema.get("required", [])
    if not is_received and not schema.get("additionalProperties"):
        # Responses omit only null fields. An open schema describes a document that may be older than the schema.
        required = [name for name, field in properties.items() if name in required or not _may_be_null(field)]
    return schema | ({"properties": fields} if fields else {}) | ({"required": required} if required else {})


def _default_as_text(field: Json) -> Json:
    plain = {key: value for key, value in field.items() if key != "default"}
    if field.get("default") is None or "const" in field:
        return plain
    default = f"Default: `{json.dumps(field['default'])}`."
    return plain | {"description": " ".join(filter(None, [field.get("description"), default]))}


def _may_be_null(field: Json) -> bool:
    return {"type": "null"} in field.get("anyOf", []) or field.get("$ref") == _ANY_JSON
