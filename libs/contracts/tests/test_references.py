"""Every reference in a document of the API leads to something in the same document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k1_contracts.documents.generate import DOCUMENTS

OPENAPI = Path(__file__).parents[3] / "docs" / "openapi.json"
FILES = (OPENAPI, *sorted(DOCUMENTS.rglob("*.json")))


def references(node: Any) -> Iterator[str]:
    """Yield every `$ref`, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def leads_somewhere(document: Any, reference: str) -> bool:
    """Return whether a JSON pointer (RFC 6901) in a fragment has a target."""
    root, *parts = reference.split("/")
    target = document
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, dict) or name not in target:
            return False
        target = target[name]
    return root == "#" and bool(parts)


def test_every_reference_has_a_target() -> None:
    """A client generator stops at the first that has none."""
    lost = [
        (path.name, reference)
        for path in FILES
        for document in [json.loads(path.read_text("utf-8"))]
        for reference in references(document)
        if not leads_somewhere(document, reference)
    ]
    assert len(FILES) > 50
    assert lost == []


def test_a_reference_of_another_document_is_found() -> None:
    """The form of a single schema's references, `#/$defs`, is a fault where schemas are components."""
    document = {"components": {"schemas": {"A/B": {}}}}
    assert leads_somewhere(document, "#/components/schemas/A~1B")
    assert not leads_somewhere(document, "#/$defs/JsonValue")
    assert not leads_somewhere(document, "other.json#/components/schemas/A~1B")
