"""The committed documents say what the models say."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import meta
from pydantic import TypeAdapter, ValidationError

from k1_contracts.base import Contract
from k1_contracts.documents.generate import DOCUMENTS, asyncapi, documents, json_schemas
from k1_contracts.documents.json_schema import PlainJsonSchema
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.messages.catalogue.tracks import TrackPage

MODELS = sorted(
    {model for message in MESSAGES for model in (message.model, message.response_model) if model},
    key=lambda model: model.__name__,
)


def contracts(base: type[Contract] = Contract) -> Iterator[type[Contract]]:
    """Every contract model."""
    for model in base.__subclasses__():
        yield model
        yield from contracts(model)


def test_committed_documents_are_current() -> None:
    """Whoever changes a model runs `python -m k1_contracts.documents` in the same commit."""
    committed = {
        path.relative_to(DOCUMENTS).as_posix(): path.read_text("utf-8") for path in DOCUMENTS.rglob("*.json")
    }
    assert documents() == committed


def test_schemas_are_valid() -> None:
    """Each schema is itself a valid draft 2020-12 schema."""
    assert [name for name, schema in json_schemas().items() if not meta.is_valid(schema)] == []


def test_asyncapi_references_resolve() -> None:
    """Every $ref in the AsyncAPI document points at something."""
    document = asyncapi()

    def resolve(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                target = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for value in node.values():
                resolve(value)
        elif isinstance(node, list):
            for value in node:
                resolve(value)

    resolve(document)
    assert {channel["address"] for channel in document["channels"].values()} == {m.subject for m in MESSAGES}


def test_what_may_be_absent_is_not_required() -> None:
    """JSON leaves out what is None, so a required field that may be None would break the schema of its own message."""
    assert TrackPage in set(contracts())
    broken = [
        f"{model.__name__}.{name}"
        for model in contracts()
        for name, field in model.model_fields.items()
        if field.is_required() and takes_none(field.rebuild_annotation())
    ]
    assert broken == []


def takes_none(annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(None)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_read_as_it_is_written(model: type[Contract]) -> None:
    """One schema serves both directions; with two, generated clients would have each type twice."""
    read, written = (
        model.model_json_schema(mode=mode, schema_generator=PlainJsonSchema)
        for mode in ("validation", "serialization")
    )
    assert read == written


def test_no_schema_holds_a_discriminator() -> None:
    """In AsyncAPI it is the name of a property; the object that OpenAPI has under this name makes parsers refuse it."""
    assert "discriminator" not in "".join(documents().values())
