"""Counts what a person changed in a graph, and says it in a few words. Pure.

The nodes that a change reaches downstream do not count; the impact report lists them.
"""

from collections.abc import Iterable

from k1_contracts.graph import GraphImpact
from k1_contracts.messages.catalogue.tracks import GraphEditCounts


def count_changes(impact: GraphImpact) -> GraphEditCounts:
    """Return the number of changes of each kind that an impact report lists."""
    return GraphEditCounts(
        nodes_added=len(impact.added_nodes),
        nodes_removed=len(impact.removed_nodes),
        nodes_changed=len({change.node for change in impact.changed_params}),
        edges_added=sum(change.after is not None for change in impact.changed_inputs),
        edges_removed=sum(change.before is not None for change in impact.changed_inputs),
    )


def describe_changes(impact: GraphImpact) -> str:
    """Return for example `3 nodes changed, 1 edge added`: the words that the page has for the same counts."""
    counts = count_changes(impact)
    nodes = [
        (counts.nodes_changed, "changed"),
        (counts.nodes_added, "added"),
        (counts.nodes_removed, "removed"),
    ]
    edges = [(counts.edges_added, "added"), (counts.edges_removed, "removed")]
    return ", ".join([*_describe("node", nodes), *_describe("edge", edges)]) or "nothing changed"


def _describe(noun: str, counts: Iterable[tuple[int, str]]) -> list[str]:
    """Return for example `2 nodes changed` and `1 added`; the noun comes once."""
    present = [(count, verb) for count, verb in counts if count]
    if not present:
        return []
    (first, verb), *others = present
    return [
        f"{first} {noun if first == 1 else noun + 's'} {verb}",
        *(f"{count} {verb}" for count, verb in others),
    ]
