"""Generates the JSON Schemas and the AsyncAPI 3 document from the message descriptors.

`python -m k1_contracts.documents` writes them to `generated/`. A test fails when the committed ones differ from
what the models say.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from k1_contracts.descriptors import DocumentQuery, Message, StreamMessage
from k1_contracts.documents.json_schema import PlainJsonSchema, component_schemas
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.genesis import GenesisMap

DOCUMENTS: Final = Path(__file__).parents[1] / "generated"
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_CE_HEADERS: Final = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "ce-subject", "Nats-Msg-Id"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "description": "The event's id; equal to Nats-Msg-Id."},
        "ce-type": {"type": "string", "description": "The subject."},
        "ce-source": {"type": "string", "examples": ["k1/ingest"]},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-subject": {"type": "string", "description": "The id of the thing that the event is about."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
        "Nats-Msg-Id": {"type": "string"},
    },
}
_DOCUMENT_HEADERS: Final = {
    "type": "object",
    "required": ["k1-status"],
    "properties": {
        "k1-status": {"type": "string", "description": "200, 304, or the status of an error."},
        "k1-etag": {"type": "string", "description": "The tag of the content, without quotes."},
        "content-encoding": {"const": "gzip"},
    },
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return file name -> JSON Schema of each message body and of the Genesis map."""
    models: list[type[BaseModel]] = [GenesisMap, *(message.model for message in MESSAGES)]
    models += [message.response_model for message in MESSAGES if message.response_model]
    return {
        f"{model.__name__}.schema.json": {"$schema": _DRAFT, **_schema(model)}
        for model in sorted(set(models), key=lambda model: model.__name__)
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(mode="serialization", schema_generator=PlainJsonSchema)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.1 document of the bus."""
    bodies = {message.model for message in MESSAGES} | {
        m.response_model for m in MESSAGES if m.response_model
    }
    schemas = component_schemas(sorted(bodies, key=lambda model: model.__name__))
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "K1 Song Analysis",
            "version": "1.0.0",
            "description": "Events are CloudEvents 1.0 in NATS binary mode. JetStream streams keep events and"
            " commands. Queries are core NATS request/reply with a queue group for each service."
            " Live data is core NATS and may be lost.",
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(message): _channel(message) for message in MESSAGES},
        "operations": {
            f"{service}-{verb}-{_channel_id(message)}": _operation(message, verb)
            for message in MESSAGES
            for verb, services in (("send", message.senders), ("receive", message.receivers))
            for service in services
        },
        "components": {
            "schemas": schemas,
            "messageTraits": {"cloudevent": {"headers": _CE_HEADERS}},
        },
    }


def _channel_id(message: Message[Any]) -> str:
    return message.subject.replace(".", "-").replace("{", "").replace("}", "")


def _channel(message: Message[Any]) -> dict[str, Any]:
    names = [part[1:-1] for part in _braced(message.subject)]
    channel: dict[str, Any] = {
        "address": message.subject,
        "description": message.summary + (f" (stream {message.stream})" if message.stream else ""),
        "messages": {message.name: _message(message)},
    }
    if names:
        channel["parameters"] = {name: {"description": f"The {name}"} for name in names}
    if message.response_model:
        channel["messages"][f"{message.response_model.__name__}Answer"] = _response(message)
    return channel


def _response(message: Message[Any]) -> dict[str, Any]:
    assert message.response_model is not None
    schema = {"$ref": f"#/components/schemas/{message.response_model.__name__}"}
    if isinstance(message, DocumentQuery):
        return {
            "summary": "The document, gzip-compressed; empty with status 304; an error as in other responses",
            "headers": _DOCUMENT_HEADERS,
            "payload": schema,
        }
    error = {
        "type": "object",
        "required": ["code", "message", "status"],
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "status": {"type": "integer"},
        },
    }
    return {
        "payload": {
            "type": "object",
            "description": "Exactly one of result and error.",
            "properties": {"result": schema, "error": error},
        }
    }


def _braced(subject: str) -> list[str]:
    return ["{" + rest.split("}")[0] + "}" for rest in subject.split("{")[1:]]


def _message(message: Message[Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": message.name,
        "summary": message.summary,
        "payload": {"$ref": f"#/components/schemas/{message.name}"},
    }
    if isinstance(message, StreamMessage):
        body["traits"] = [{"$ref": "#/components/messageTraits/cloudevent"}]
    return body


def _operation(message: Message[Any], verb: str) -> dict[str, Any]:
    channel = f"#/channels/{_channel_id(message)}"
    operation: dict[str, Any] = {
        "action": verb,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{message.name}"}],
    }
    if message.response_model:
        operation["reply"] = {
            "channel": {"$ref": channel},
            "messages": [{"$ref": f"{channel}/messages/{message.response_model.__name__}Answer"}],
        }
    return operation


def documents() -> dict[str, str]:
    """Return relative path -> text of every generated document."""
    texts = {f"schemas/{name}": schema for name, schema in json_schemas().items()}
    texts["asyncapi.json"] = asyncapi()
    return {name: json.dumps(value, indent=1, sort_keys=True) + "\n" for name, value in texts.items()}


def write() -> None:
    """Write the documents, removing those of models that are gone."""
    wanted = documents()
    for path in DOCUMENTS.rglob("*.json"):
        if path.relative_to(DOCUMENTS).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = DOCUMENTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
