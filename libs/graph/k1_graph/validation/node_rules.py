"""Checks one node: its ports, its sources and its parameters."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import ParamValue
from k1_graph.validation.document_reader import NodeDraft, ViolationCollector, suggest
from k1_graph.validation.parameter_rules import describe_allowed, describe_value, find_problem

_SUGGESTED_IDS = 50


@dataclass(frozen=True, slots=True)
class KnownNodes:
    """The nodes that a source may name: drafts of a known type, and all ids, also of unreadable nodes."""

    drafts: Mapping[str, NodeDraft]
    ids: AbstractSet[str]


def check_node(draft: NodeDraft, known: KnownNodes, violations: ViolationCollector) -> Node:
    """Check a draft and return the node, without invalid references and with defaults for invalid parameters."""
    inputs = _check_inputs(draft, known, violations)
    params = _check_params(draft, violations)
    return Node(draft.id, draft.spec, MappingProxyType(inputs), MappingProxyType(params))


def _check_inputs(draft: NodeDraft, known: KnownNodes, violations: ViolationCollector) -> dict[str, Ref]:
    inputs: dict[str, Ref] = {}
    for port, source in draft.inputs.items():
        if port not in draft.spec.inputs:
            message = f"{draft.id} ({draft.spec.type}) has no input {describe_value(port)}"
            violations.add("unknown_port", message, suggest(port, draft.spec.inputs), node=draft.id)
        elif ref := _find_source(f"Input {port} of {draft.id}", draft.id, source, known, violations):
            inputs[port] = ref
    for port in draft.spec.inputs.values():
        if port.required and port.name not in draft.inputs:
            violations.add(
                "required_input",
                f"Input {port.name} of {draft.id} is not connected",
                f"Connect a node that gives {port.type}.",
                node=draft.id,
            )
    return inputs


def _find_source(
    what: str, reader: str, source: str, known: KnownNodes, violations: ViolationCollector
) -> Ref | None:
    node, _, output = source.partition(".")
    if node not in known.ids:
        others = sorted(known.ids - {reader})[:_SUGGESTED_IDS]
        violations.add(
            "unknown_source",
            f"{what} reads the unknown node {describe_value(node)}",
            suggest(node, others),
            node=reader,
        )
        return None
    if node not in known.drafts:
        return None  # that node has an unknown type, which is reported already
    spec = known.drafts[node].spec
    output = output or spec.default_output or ""
    if output not in spec.outputs:
        asked = f"the output {describe_value(output)} of {node}" if output else f"{node}, which has no output"
        fix = suggest(output, [f"{node}.{name}" for name in spec.outputs])
        violations.add("unknown_source", f"{what} reads {asked}", fix, node=reader)
        return None
    return Ref(node, output)


def _check_params(draft: NodeDraft, violations: ViolationCollector) -> dict[str, ParamValue]:
    specs = draft.spec.params
    values = {name: spec.default for name, spec in specs.items()}
    for name, value in draft.params.items():
        if name not in specs:
            message = f"{draft.id} ({draft.spec.type}) has no parameter {describe_value(name)}"
            violations.add("unknown_param", message, suggest(name, specs), node=draft.id)
        elif problem := find_problem(specs[name], value):
            message = f"Parameter {name} of {draft.id} {problem}"
            violations.add("param_value", message, f"Give {describe_allowed(specs[name])}.", node=draft.id)
        else:
            values[name] = cast("ParamValue", value)
    if draft.spec.type == "ParamF":
        _check_slider(draft.id, values, violations)
    return values


def _check_slider(name: str, values: Mapping[str, ParamValue], violations: ViolationCollector) -> None:
    low, value, high = (cast("float", values[key]) for key in ("min", "default", "max"))
    if not low <= value <= high:
        message = f"Parameter default of {name} is {value:g}, outside its own min {low:g} to max {high:g}"
        violations.add("param_value", message, "Widen min and max or move default.", node=name)
