"""docs/graph-nodes.md, written from the catalogue. Run as `python -m k1_graph.catalogue_docs > docs/graph-nodes.md`."""

from itertools import groupby

from k1_graph.catalogue import NodeSpec, ParamSpec, catalogue

_HEAD = """# Nodes of the K1 graph

Written from `libs/graph/k1_graph/data/nodes.toml` by `python -m k1_graph.catalogue_docs`; edit that file, not this one.

A node's input is `source_id`, or `source_id.output` for another output than the first. An input marked ! must be
connected. An input with a parameter of its name drives that parameter frame by frame, limited to its range; unconnected,
the parameter holds. Numbers saturate at a million either way.

An `int`, a `time` and an `audio_envelope` read as `float`, `vec3` is `color`, a `param<T>` reads as `T`, and
`led_buffer<T>` takes and gives either kind of buffer. Nothing else converts by itself.

Costs are microseconds a frame at 180 LEDs on an ESP32-S3 at 240 MHz, stated by the design unless marked measured. State is kept
between frames. Colours are sRGB values 0..1.
"""


def render_markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for group, specs in groupby(catalogue().nodes.values(), key=lambda spec: spec.group):
        parts.append(f"\n## {group.capitalize()}\n")
        parts.extend(_node(spec) for spec in specs)
    return "".join(parts)


def _node(spec: NodeSpec) -> str:
    inputs = ", ".join(f"`{p.name}{'!' if p.required else ''}: {p.type}`" for p in spec.inputs.values())
    outputs = ", ".join(f"`{name}: {kind}`" for name, kind in spec.outputs.items())
    cost = f"{spec.cost_us:g} us" + (f" x {spec.cost_per}" if spec.cost_per else "")
    if spec.cost_source == "measured":
        cost += " (measured)"
    state = f"{spec.state_bytes} bytes" + (f" x {spec.state_per}" if spec.state_per else "")
    lines = [
        f"\n### {spec.type}\n\n{spec.about}\n",
        f"\n{inputs or 'no inputs'} -> {outputs or 'the strip'} · {spec.behaviour} · {cost} · state {state}\n",
    ]
    if spec.params:
        lines.append("\n| parameter | default | range | meaning |\n| --- | --- | --- | --- |\n")
        lines.extend(_param(param) for param in spec.params.values())
    return "".join(lines)


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
