"""First half of validation: from any JSON value to drafts of nodes, complaining about what has the wrong shape."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import cast

from k1_contracts.graph import GRAPH_VERSION, Severity, Violation
from k1_graph.catalogue import NodeSpec, catalogue
from k1_graph.limits import NAME_MAX, NODES_MAX
from k1_graph.params import show

_ENTRIES_MAX = 32
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DOCUMENT_FIELDS = frozenset({"name", "version", "meta", "nodes"})
_NODE_FIELDS = frozenset({"id", "type", "inputs", "params", "meta"})


@dataclass(slots=True)
class Report:
    """Violations as they are found."""

    found: list[Violation] = field(default_factory=list[Violation])

    def add(
        self, rule: str, message: str, fix: str, *, node: str | None = None, severity: Severity = "error"
    ) -> None:
        self.found.append(Violation(rule=rule, severity=severity, node=node, message=message, fix=fix))


@dataclass(frozen=True, slots=True)
class Draft:
    """A node of known type whose references and parameters are not checked yet."""

    id: str
    spec: NodeSpec
    inputs: Mapping[str, str]
    params: Mapping[str, object]


def is_snake_case(value: object) -> bool:
    """Lower-case words of letters and digits joined by `_`, a letter first, at most NAME_MAX characters."""
    return isinstance(value, str) and len(value) <= NAME_MAX and _SNAKE.fullmatch(value) is not None


def suggest(name: str, names: Iterable[str]) -> str:
    """A fix that names the nearest allowed spelling, or all of them when none is near."""
    choices = list(names)
    near = get_close_matches(name[:NAME_MAX], choices, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Use one of: {', '.join(choices)}." if choices else "Remove it."


def read_document(document: object, report: Report) -> tuple[list[Draft], set[str]]:
    """Drafts of the nodes that can be read, and every id that the document uses."""
    if not isinstance(document, dict):
        report.add(
            "document_shape", f"The document is {show(document)}, not an object", "Send a JSON object."
        )
        return [], set()
    body = cast("dict[object, object]", document)
    _check_head(body, report)
    nodes = body.get("nodes")
    if not isinstance(nodes, list):
        report.add(
            "document_shape", f"nodes is {show(nodes)}, not a list", "Give nodes as a list of objects."
        )
        return [], set()
    items = cast("list[object]", nodes)
    if len(items) > NODES_MAX:
        report.add(
            "too_many_nodes",
            f"{len(items)} nodes, at most {NODES_MAX} are read",
            "Split the graph; a K1 runs about 50 nodes in its frame budget.",
        )
        return [], set()
    return _read_nodes(items, report)


def _check_head(body: Mapping[object, object], report: Report) -> None:
    if not is_snake_case(body.get("name")):
        report.add("graph_name", f"name is {show(body.get('name'))}", "Use snake_case, for example my_show.")
    if body.get("version") != GRAPH_VERSION:
        version = show(body.get("version"))
        report.add("graph_version", f"version is {version}", f'Set version to "{GRAPH_VERSION}".')
    _check_meta(body, "The document", None, report)
    _check_fields(body, _DOCUMENT_FIELDS, "The document", None, report)


def _read_nodes(items: list[object], report: Report) -> tuple[list[Draft], set[str]]:
    drafts: list[Draft] = []
    ids: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            report.add("node_shape", f"nodes[{index}] is {show(item)}, not an object", "Give id and type.")
            continue
        body = cast("dict[object, object]", item)
        name = _read_id(body.get("id"), index, ids, report)
        draft = _read_node(body, name or f"nodes[{index}]", report)
        if draft is not None and name is not None:
            drafts.append(draft)
    return drafts, ids


def _read_id(raw: object, index: int, ids: set[str], report: Report) -> str | None:
    if not is_snake_case(raw):
        report.add(
            "node_id",
            f"nodes[{index}] has the id {show(raw)}",
            f"Use snake_case of at most {NAME_MAX} characters, for example beat_pulse.",
            node=f"nodes[{index}]",
        )
        return None
    name = cast("str", raw)
    if name in ids:
        report.add("duplicate_id", f"The id {name} is used twice", "Rename one of the nodes.", node=name)
        return None
    ids.add(name)
    return name


def _read_node(body: Mapping[object, object], name: str, report: Report) -> Draft | None:
    _check_fields(body, _NODE_FIELDS, name, name, report)
    _check_meta(body, name, name, report)
    inputs = _read_object(body.get("inputs", {}), "inputs", name, report)
    params = _read_object(body.get("params", {}), "params", name, report)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in catalogue().nodes:
        fix = (
            suggest(kind, catalogue().nodes)
            if isinstance(kind, str)
            else "Give a node type of the catalogue."
        )
        report.add("unknown_type", f"{name} has the unknown type {show(kind)}", fix, node=name)
        return None
    return Draft(name, catalogue().nodes[kind], _read_sources(inputs, name, report), params)


def _read_object(raw: object, what: str, name: str, report: Report) -> dict[str, object]:
    if not isinstance(raw, dict):
        report.add("node_shape", f"{what} of {name} is {show(raw)}", f"Give {what} as an object.", node=name)
        return {}
    pairs = cast("dict[object, object]", raw)
    if len(pairs) > _ENTRIES_MAX:
        message = f"{what} of {name} has {len(pairs)} entries, at most {_ENTRIES_MAX} are read"
        report.add("node_shape", message, "No node type has so many.", node=name)
    return {key: value for key, value in islice(pairs.items(), _ENTRIES_MAX) if isinstance(key, str)}


def _read_sources(inputs: Mapping[str, object], name: str, report: Report) -> dict[str, str]:
    sources: dict[str, str] = {}
    for port, source in inputs.items():
        if isinstance(source, str):
            sources[port] = source
        else:
            message = f"Input {show(port)} of {name} is {show(source)}"
            report.add("node_shape", message, "Give the id of the source node.", node=name)
    return sources


def _check_meta(body: Mapping[object, object], where: str, node: str | None, report: Report) -> None:
    meta = body.get("meta")
    if meta is not None and not isinstance(meta, dict):
        report.add(
            "node_shape" if node else "document_shape",
            f"meta of {where} is {show(meta)}",
            "Give meta as an object or leave it out.",
            node=node,
        )


def _check_fields(
    body: Mapping[object, object], known: frozenset[str], where: str, node: str | None, report: Report
) -> None:
    for key in islice((key for key in body if key not in known), _ENTRIES_MAX):
        fix = suggest(key, sorted(known)) if isinstance(key, str) else "Remove it."
        report.add(
            "unknown_field",
            f"{where} has the unknown field {show(key)}, which is ignored",
            fix,
            node=node,
            severity="warning",
        )
