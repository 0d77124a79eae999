"""Rules of one node: its ports, its sources and its parameters."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from k1_graph.catalogue import ParamValue
from k1_graph.graph import Node, Ref
from k1_graph.params import allowed, problem_with, show
from k1_graph.shape import Draft, Report, suggest

_SUGGESTED_IDS = 50


@dataclass(frozen=True, slots=True)
class Known:
    """What a source may name: the drafts of known type, and every id, readable or not."""

    drafts: Mapping[str, Draft]
    ids: AbstractSet[str]


def check_node(draft: Draft, known: Known, report: Report) -> Node:
    """The node with what is right about it: bad references left out, bad parameters at their default."""
    inputs = _check_inputs(draft, known, report)
    params = _check_params(draft, report)
    return Node(draft.id, draft.spec, MappingProxyType(inputs), MappingProxyType(params))


def _check_inputs(draft: Draft, known: Known, report: Report) -> dict[str, Ref]:
    inputs: dict[str, Ref] = {}
    for port, source in draft.inputs.items():
        if port not in draft.spec.inputs:
            message = f"{draft.id} ({draft.spec.type}) has no input {show(port)}"
            report.add("unknown_port", message, suggest(port, draft.spec.inputs), node=draft.id)
        elif ref := _find_source(f"Input {port} of {draft.id}", draft.id, source, known, report):
            inputs[port] = ref
    for port in draft.spec.inputs.values():
        if port.required and port.name not in draft.inputs:
            report.add(
                "required_input",
                f"Input {port.name} of {draft.id} is not connected",
                f"Connect a node that gives {port.type}.",
                node=draft.id,
            )
    return inputs


def _find_source(what: str, reader: str, source: str, known: Known, report: Report) -> Ref | None:
    node, _, output = source.partition(".")
    if node not in known.ids:
        others = sorted(known.ids - {reader})[:_SUGGESTED_IDS]
        report.add(
            "unknown_source",
            f"{what} reads the unknown node {show(node)}",
            suggest(node, others),
            node=reader,
        )
        return None
    if node not in known.drafts:
        return None  # that node has an unknown type, which is reported already
    spec = known.drafts[node].spec
    output = output or spec.default_output or ""
    if output not in spec.outputs:
        asked = f"the output {show(output)} of {node}" if output else f"{node}, which has no output"
        fix = suggest(output, [f"{node}.{name}" for name in spec.outputs])
        report.add("unknown_source", f"{what} reads {asked}", fix, node=reader)
        return None
    return Ref(node, output)


def _check_params(draft: Draft, report: Report) -> dict[str, ParamValue]:
    specs = draft.spec.params
    values = {name: spec.default for name, spec in specs.items()}
    for name, value in draft.params.items():
        if name not in specs:
            message = f"{draft.id} ({draft.spec.type}) has no parameter {show(name)}"
            report.add("unknown_param", message, suggest(name, specs), node=draft.id)
        elif problem := problem_with(specs[name], value):
            message = f"Parameter {name} of {draft.id} {problem}"
            report.add("param_value", message, f"Give {allowed(specs[name])}.", node=draft.id)
        else:
            values[name] = cast("ParamValue", value)
    if draft.spec.type == "ParamF":
        _check_slider(draft.id, values, report)
    return values


def _check_slider(name: str, values: Mapping[str, ParamValue], report: Report) -> None:
    low, value, high = (cast("float", values[key]) for key in ("min", "default", "max"))
    if not low <= value <= high:
        message = f"Parameter default of {name} is {value:g}, outside its own min {low:g} to max {high:g}"
        report.add("param_value", message, "Widen min and max or move default.", node=name)
