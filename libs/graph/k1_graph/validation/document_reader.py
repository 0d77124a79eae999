"""Reads a graph document from untrusted JSON and reports everything that has the wrong shape."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import cast

from k1_contracts.graph import GRAPH_VERSION, Severity, Violation
from k1_graph.limits import NAME_MAX, NODES_MAX
from k1_graph.node_types.definitions import NodeType, load_node_types
from k1_graph.validation.parameter_rules import describe_value

_ENTRIES_MAX = 32
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DOCUMENT_FIELDS = frozenset({"name", "version", "meta", "nodes"})
_NODE_FIELDS = frozenset({"id", "type", "inputs", "params", "meta"})


@dataclass(slots=True)
class ViolationCollector:
    """Collects the violations of a document."""

    items: list[Violation] = field(default_factory=list[Violation])

    def add(
        self, rule: str, message: str, fix: str, *, node: str | None = None, severity: Severity = "error"
    ) -> None:
        self.items.append(Violation(rule=rule, severity=severity, node=node, message=message, fix=fix))


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node of a known type whose references and parameters are not checked yet."""

    id: str
    spec: NodeType
    inputs: Mapping[str, str]
    params: Mapping[str, object]


def is_snake_case(value: object) -> bool:
    """Return whether a value is a snake_case name of at most NAME_MAX characters that starts with a letter."""
    return isinstance(value, str) and len(value) <= NAME_MAX and _SNAKE.fullmatch(value) is not None


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a fix that names the closest allowed name, or all names when none is close."""
    choices = list(names)
    near = get_close_matches(name[:NAME_MAX], choices, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Use one of: {', '.join(choices)}." if choices else "Remove it."


def read_document(document: object, violations: ViolationCollector) -> tuple[list[NodeDraft], set[str]]:
    """Return drafts of the readable nodes, and every id that the document uses."""
    if not isinstance(document, dict):
        violations.add(
            "document_shape",
            f"The document is {describe_value(document)}, not an object",
            "Send a JSON object.",
        )
        return [], set()
    body = cast("dict[object, object]", document)
    _check_head(body, violations)
    nodes = body.get("nodes")
    if not isinstance(nodes, list):
        violations.add(
            "document_shape",
            f"nodes is {describe_value(nodes)}, not a list",
            "Give nodes as a list of objects.",
        )
        return [], set()
    items = cast("list[object]", nodes)
    if len(items) > NODES_MAX:
        violations.add(
            "too_many_nodes",
            f"{len(items)} nodes, at most {NODES_MAX} are read",
            "Split the graph; a K1 runs about 50 nodes in its frame budget.",
        )
        return [], set()
    return _read_nodes(items, violations)


def _check_head(body: Mapping[object, object], violations: ViolationCollector) -> None:
    if not is_snake_case(body.get("name")):
        violations.add(
            "graph_name",
            f"name is {describe_value(body.get('name'))}",
            "Use snake_case, for example my_show.",
        )
    if body.get("version") != GRAPH_VERSION:
        version = describe_value(body.get("version"))
        violations.add("graph_version", f"version is {version}", f'Set version to "{GRAPH_VERSION}".')
    _check_meta(body, "The document", None, violations)
    _check_fields(body, _DOCUMENT_FIELDS, "The document", None, violations)


def _read_nodes(items: list[object], violations: ViolationCollector) -> tuple[list[NodeDraft], set[str]]:
    drafts: list[NodeDraft] = []
    ids: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            violations.add(
                "node_shape", f"nodes[{index}] is {describe_value(item)}, not an object", "Give id and type."
            )
            continue
        body = cast("dict[object, object]", item)
        name = _read_id(body.get("id"), index, ids, violations)
        draft = _read_node(body, name or f"nodes[{index}]", violations)
        if draft is not None and name is not None:
            drafts.append(draft)
    return drafts, ids


def _read_id(raw: object, index: int, ids: set[str], violations: ViolationCollector) -> str | None:
    if not is_snake_case(raw):
        violations.add(
            "node_id",
            f"nodes[{index}] has the id {describe_value(raw)}",
            f"Use snake_case of at most {NAME_MAX} characters, for example beat_pulse.",
            node=f"nodes[{index}]",
        )
        return None
    name = cast("str", raw)
    if name in ids:
        violations.add("duplicate_id", f"The id {name} is used twice", "Rename one of the nodes.", node=name)
        return None
    ids.add(name)
    return name


def _read_node(body: Mapping[object, object], name: str, violations: ViolationCollector) -> NodeDraft | None:
    _check_fields(body, _NODE_FIELDS, name, name, violations)
    _check_meta(body, name, name, violations)
    inputs = _read_object(body.get("inputs", {}), "inputs", name, violations)
    params = _read_object(body.get("params", {}), "params", name, violations)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in load_node_types().nodes:
        fix = (
            suggest(kind, load_node_types().nodes)
            if isinstance(kind, str)
            else "Give a node type of the catalogue."
        )
        violations.add("unknown_type", f"{name} has the unknown type {describe_value(kind)}", fix, node=name)
        return None
    return NodeDraft(name, load_node_types().nodes[kind], _read_sources(inputs, name, violations), params)


def _read_object(raw: object, what: str, name: str, violations: ViolationCollector) -> dict[str, object]:
    if not isinstance(raw, dict):
        violations.add(
            "node_shape",
            f"{what} of {name} is {describe_value(raw)}",
            f"Give {what} as an object.",
            node=name,
        )
        return {}
    pairs = cast("dict[object, object]", raw)
    if len(pairs) > _ENTRIES_MAX:
        message = f"{what} of {name} has {len(pairs)} entries, at most {_ENTRIES_MAX} are read"
        violations.add("node_shape", message, "No node type has so many.", node=name)
    return {key: value for key, value in islice(pairs.items(), _ENTRIES_MAX) if isinstance(key, str)}


def _read_sources(inputs: Mapping[str, object], name: str, violations: ViolationCollector) -> dict[str, str]:
    sources: dict[str, str] = {}
    for port, source in inputs.items():
        if isinstance(source, str):
            sources[port] = source
        else:
            message = f"Input {describe_value(port)} of {name} is {describe_value(source)}"
            violations.add("node_shape", message, "Give the id of the source node.", node=name)
    return sources


def _check_meta(
    body: Mapping[object, object], where: str, node: str | None, violations: ViolationCollector
) -> None:
    meta = body.get("meta")
    if meta is not None and not isinstance(meta, dict):
        violations.add(
            "node_shape" if node else "document_shape",
            f"meta of {where} is {describe_value(meta)}",
            "Give meta as an object or leave it out.",
            node=node,
        )


def _check_fields(
    body: Mapping[object, object],
    known: frozenset[str],
    where: str,
    node: str | None,
    violations: ViolationCollector,
) -> None:
    for key in islice((key for key in body if key not in known), _ENTRIES_MAX):
        fix = suggest(key, sorted(known)) if isinstance(key, str) else "Remove it."
        violations.add(
            "unknown_field",
            f"{where} has the unknown field {describe_value(key)}, which is ignored",
            fix,
            node=node,
            severity="warning",
        )
