"""Generates docs/graph-nodes.md from the node types.

Run `python -m k1_graph.node_types.documentation > docs/graph-nodes.md`.
"""

from itertools import groupby
from textwrap import fill

from k1_graph.node_types.definitions import NodeType, ParamSpec, load_node_types

_COLUMNS = 120
_INTRODUCTION = """# Nodes of the K1 graph

This page is generated from `libs/graph/k1_graph/data/nodes.toml` by `python -m k1_graph.node_types.documentation`. Edit
that file, not this one.

An input of a node is `source_id`, or `source_id.output` for an output other than the first. An input marked ! must be
connected. An input with a parameter of the same name replaces that parameter frame by frame, limited to its range;
while the input is not connected, the parameter is used. Numbers saturate at plus and minus a million.

An `int`, a `time` and an `audio_envelope` can be used as `float`; `vec3` is `color`; a `param<T>` can be used as `T`;
`led_buffer<T>` accepts and outputs either kind of buffer. There is no other implicit conversion.

Costs are in microseconds per frame at 180 LEDs on an ESP32-S3 at 240 MHz. They come from the design unless marked
measured. State is kept between frames. Colours are sRGB values 0..1.
"""


def render_markdown() -> str:
    """Return the whole page, wrapped at 120 columns."""
    parts = [_INTRODUCTION]
    for group, specs in groupby(load_node_types().nodes.values(), key=lambda spec: spec.group):
        parts.append(f"\n## {group.capitalize()}\n")
        parts.extend(_node(spec) for spec in specs)
    return "".join(parts)


def _node(spec: NodeType) -> str:
    inputs = ", ".join(f"`{p.name}{'!' if p.required else ''}: {p.type}`" for p in spec.inputs.values())
    outputs = ", ".join(f"`{name}: {kind}`" for name, kind in spec.outputs.items())
    cost = f"{spec.cost_us:g} us" + (f" x {spec.cost_per}" if spec.cost_per else "")
    if spec.cost_source == "measured":
        cost += " (measured)"
    state = f"{spec.state_bytes} bytes" + (f" x {spec.state_per}" if spec.state_per else "")
    ports = f"{inputs or 'no inputs'} -> {outputs or 'the strip'} · {spec.behaviour} · {cost} · state {state}"
    lines = [f"\n### {spec.type}\n\n{_wrap(spec.about)}\n\n{_wrap(ports)}\n"]
    if spec.params:
        lines.append("\n| parameter | default | range | meaning |\n| --- | --- | --- | --- |\n")
        lines.extend(_param(param) for param in spec.params.values())
    return "".join(lines)


def _wrap(text: str) -> str:
    return fill(text, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def _param(param: ParamSpec) -> str:
    if param.choices:
        allowed = ", ".join(param.choices)
    elif param.kind == "bool":
        allowed = "true, false"
    elif param.min is not None and param.max is not None:
        allowed = f"{param.min:g} to {param.max:g} {param.unit}".rstrip()
    else:
        allowed = param.kind
    if param.max_items:
        allowed += f"; {param.min_items} to {param.max_items} items"
    default = str(param.default).lower() if param.kind == "bool" else str(param.default)
    return f"| {param.name} | {default} | {allowed} | {param.about} |\n"


if __name__ == "__main__":
    print(render_markdown(), end="")
