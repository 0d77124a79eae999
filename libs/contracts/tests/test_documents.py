"""The committed documents say what the models say."""

import jsonschema
import pytest

from k1_contracts.documents import DOCUMENTS, asyncapi, documents, json_schemas
from k1_contracts.registry import MESSAGES


def test_committed_documents_are_current() -> None:
    """Whoever changes a model runs `python -m k1_contracts.documents` in the same commit."""
    committed = {
        path.relative_to(DOCUMENTS).as_posix(): path.read_text("utf-8") for path in DOCUMENTS.rglob("*.json")
    }
    assert documents() == committed


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_schemas_are_valid(name: str) -> None:
    """Each schema is itself a valid draft 2020-12 schema."""
    jsonschema.Draft202012Validator.check_schema(json_schemas()[name])


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
