"""What a person changed in a graph, in words."""

from typing import Any

import pytest

from k1_catalogue.graphs.graph_changes import describe_changes
from k1_contracts.graph import GraphImpact


def change(node: str, **sides: Any) -> dict[str, Any]:
    return {"node": node, "param": "gain", "port": "in", "from": None, "to": None, **sides}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "nothing changed"),
        ({"changed_params": [change("a"), change("a"), change("b")]}, "2 nodes changed"),
        ({"added_nodes": ["a"], "removed_nodes": ["b", "c"]}, "1 node added, 2 removed"),
        (
            {
                "changed_params": [change("a")],
                "added_nodes": ["b"],
                "changed_inputs": [change("a", to="b.out"), change("c", **{"from": "d.out", "to": "b.out"})],
            },
            "1 node changed, 1 added, 2 edges added, 1 removed",
        ),
    ],
)
def test_the_words_count_what_was_changed(found: dict[str, Any], expected: str) -> None:
    """Each kind is counted; what the changes reach is not."""
    reached = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    nothing = {"added_nodes": [], "removed_nodes": [], "changed_params": [], "changed_inputs": []}
    fields = {"changedNodes": reached, "closureDepth": 3, "impactOrder": reached}
    assert describe_changes(GraphImpact.model_validate({**nothing, **fields, **found})) == expected
