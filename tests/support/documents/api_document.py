"""Compares requests and responses with the committed OpenAPI document."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

BASE_PATH: Final = "/api/v1"
EVENT_STREAM: Final = "text/event-stream"
_COMMITTED: Final = Path(__file__).parents[3] / "docs" / "openapi.json"
_NUMBERS: Final = {
    "integer": re.compile(r"-?(0|[1-9][0-9]*)"),
    "number": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
}
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
Json = dict[str, Any]


def _is_time(text: str) -> bool:
    """Return whether a text is a time as Python reads it too, which a leap second is not."""
    try:
        return bool(_RFC3339.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document; `path` has the values of its path parameters."""

    item: Json
    path: Mapping[str, str]


class ApiDocument:
    """Finds faults in exchanges. Objects are closed: a field that is not described is a fault."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._components = closed(document["components"])
        self._validators: dict[str, Draft202012Validator] = {}
        templates = sorted(document["paths"], key=lambda path: ("{" in path, path))
        self._paths = [(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), path) for path in templates]

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation of a method and a decoded path below BASE_PATH, or None; HEAD is described by GET."""
        for pattern, template in self._paths:
            operations = self.document["paths"][template]
            item = operations.get(method.lower()) or (operations.get("get") if method == "HEAD" else None)
            if (match := pattern.fullmatch(path)) is None:
                continue
            if item is not None:
                return Operation(item, match.groupdict())
            if "{" not in template:
                return None  # a literal path never matches a path with parameters
        return None

    def response(self, operation: Operation | None, status: int) -> Json | None:
        """Return the description of a response; without an operation, that of a problem."""
        if operation is None:
            return self.document["components"]["responses"]["InternalError"]
        found = operation.item["responses"].get(str(status))
        return self._resolved(found) if found is not None else None

    def header_faults(self, response: Json, headers: Mapping[str, str]) -> Iterator[str]:
        """Yield the faults of the headers and the content type of a response."""
        for name, reference in response.get("headers", {}).items():
            header = self._resolved(reference)
            if name in headers:
                yield from self.faults(header["schema"], typed(header["schema"], headers[name]), name)
            elif header.get("required"):
                yield f"there is no {name}"
        kinds = set(response.get("content", {}))
        kind = headers.get("Content-Type", "").partition(";")[0]
        if kinds and kind not in kinds:
            yield f"the content type is {kind!r}, not {kinds}"

    def body_schema(self, response: Json, content_type: str) -> Json | None:
        """Return the schema of the body; for a stream, that of one event."""
        schema = response.get("content", {}).get(content_type.partition(";")[0], {}).get("schema")
        return schema.get("contentSchema", schema) if schema else None

    def request_faults(
        self, operation: Operation, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> Iterator[str]:
        """Yield the faults of a request; the parts of a form are not checked."""
        yield from self.parameter_faults(operation, query, headers)
        yield from self._request_body_faults(operation, headers, body)

    def parameter_faults(
        self, operation: Operation, query: Sequence[tuple[str, str]], headers: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield the faults of the parameters of a request."""
        parameters = operation.item["parameters"]
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        names = [name for name, _ in query]
        yield from (f"{name} is no parameter" for name in names if name not in known)
        repeated = {each["name"] for each in parameters if self._is_repeated(each)}
        yield from (f"{name} is given twice" for name in set(names) - repeated if names.count(name) > 1)
        given = {"path": operation.path, "query": dict(query), "header": headers}
        for parameter in parameters:
            name, values = parameter["name"], given[parameter["in"]]
            if name in repeated and name in values:
                every = [text for given_name, text in query if given_name == name]
                yield from self.faults(parameter["schema"], every, name)
            elif name in values:
                value = typed(self._resolved(parameter["schema"]), values[name])
                yield from self.faults(parameter["schema"], value, name)
            elif parameter.get("required"):
                yield f"there is no {name}"

    def _is_repeated(self, parameter: Json) -> bool:
        """Return whether a parameter is given once for each value of a list."""
        is_list = self._resolved(parameter["schema"]).get("type") == "array"
        return parameter["in"] == "query" and is_list and parameter.get("explode", True)

    def _request_body_faults(
        self, operation: Operation, headers: Mapping[str, str], body: bytes
    ) -> Iterator[str]:
        described = operation.item.get("requestBody")
        if described is None:
            return
        if not body and not described["required"]:
            return
        kind = headers.get("Content-Type", "").partition(";")[0]
        if kind not in described["content"]:
            yield f"the body is {kind!r}"
        elif kind == "application/json":
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                yield "the body is no JSON"
            else:
                yield from self.faults(described["content"][kind]["schema"], value, "body")

    def faults(self, schema: Json, value: Any, where: str) -> Iterator[str]:
        """Yield the differences between a value and a schema."""
        try:
            for error in self._validator(schema).iter_errors(value):
                place = ".".join(map(str, (where, *error.instance_path)))
                yield f"{place}: {error.message[:300]}"
        except UnicodeEncodeError as error:
            yield f"{where}: {error}"

    def _validator(self, schema: Json) -> Draft202012Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = closed(schema) | {"components": self._components}
            self._validators[key] = Draft202012Validator(
                whole, validate_formats=True, formats={"date-time": _is_time}
            )
        return self._validators[key]

    def _resolved(self, node: Json) -> Json:
        if "$ref" not in node:
            return node
        found: Any = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found


def closed(node: Any) -> Any:
    """Return the schemas with `additionalProperties: false` in every object that does not set it."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def typed(schema: Json, text: str) -> object:
    """Return the typed value of a text of a URL or header; a text that does not fit its type stays a text."""
    if schema.get("type") == "array":
        return text.split(",")
    if (pattern := _NUMBERS.get(schema.get("type", ""))) and pattern.fullmatch(text):
        return float(text) if schema["type"] == "number" else int(text)
    if schema.get("type") == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


@cache
def committed() -> ApiDocument:
    """Return the committed document, which the gateway serves."""
    return ApiDocument(json.loads(_COMMITTED.read_text(encoding="utf-8")))
