"""Bounds what one document may ask for, before anything is read: its size, depth, and cost.

The cost of a document is how many fields its answer may hold: a field counts once for each object that it belongs to,
and a list is expected to be as long as its `limit`, or a usual length. It is an upper estimate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

MAX_DOCUMENT: Final = 20_000
"""Characters."""
MAX_TOKENS: Final = 2_000
MAX_DEPTH: Final = 12
MAX_COST: Final = 20_000
MAX_ALIASES: Final = 30
_LISTS: Final[Mapping[str, int]] = {
    "tracks": 50, "items": 1, "versions": 5, "artefacts": 16, "jobs": 5, "deployments": 20, "devices": 20,
    "history": 50, "similar": 10, "tags": 1, "warnings": 3, "log_tail": 1, "__schema": 1, "types": 1, "fields": 1,
    "series": 6, "sections": 12, "beats": 500, "suggestions": 5,
}  # fmt: skip
"""How many objects a field is expected to hold, where no argument says it."""
_INTROSPECTION: Final = "__"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a document asks for."""

    fields: int
    depth: int
    aliases: int


def require_within_limits(document: DocumentNode, variables: Mapping[str, Any]) -> None:
    """Raise GraphQLError, with the code `query_too_large`, if the document asks for too much."""
    cost = measure(document, variables)
    for name, value, limit in (
        ("deep", cost.depth, MAX_DEPTH),
        ("costly", cost.fields, MAX_COST),
        ("many aliases", cost.aliases, MAX_ALIASES),
    ):
        if value > limit:
            message = f"The query is too large ({name}: {value}, at most {limit}): ask for less, or in several queries."
            raise GraphQLError(message, extensions={"code": "query_too_large"})


def measure(document: DocumentNode, variables: Mapping[str, Any]) -> Cost:
    """Return the cost of the most expensive operation of a document."""
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    counter = _Counter(fragments, variables)
    costs = [
        counter.selection(node.selection_set, 1, 1, frozenset())
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    return Cost(
        fields=max((cost.fields for cost in costs), default=0),
        depth=max((cost.depth for cost in costs), default=0),
        aliases=max((cost.aliases for cost in costs), default=0),
    )


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts fields. It stops as soon as a limit is passed, so a document cannot make the counting itself costly."""

    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]

    def selection(
        self, selection_set: SelectionSetNode, factor: int, depth: int, inside: frozenset[str]
    ) -> Cost:
        fields, deepest, aliases = 0, depth, 0
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                cost = self._field(node, factor, depth, inside)
            elif isinstance(node, InlineFragmentNode):
                cost = self.selection(node.selection_set, factor, depth, inside)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in inside:
                cost = self._spread(node, factor, depth, inside)
            else:
                continue
            fields, deepest, aliases = fields + cost.fields, max(deepest, cost.depth), aliases + cost.aliases
            if fields > MAX_COST or deepest > MAX_DEPTH:
                break
        return Cost(fields, deepest, aliases)

    def _spread(self, node: FragmentSpreadNode, factor: int, depth: int, inside: frozenset[str]) -> Cost:
        name = node.name.value
        fragment = self.fragments.get(name)
        if fragment is None:
            return Cost(0, depth, 0)
        return self.selection(fragment.selection_set, factor, depth, inside | {name})

    def _field(self, node: FieldNode, factor: int, depth: int, inside: frozenset[str]) -> Cost:
        alias = int(node.alias is not None)
        if node.selection_set is None or depth > MAX_DEPTH:
            return Cost(factor, depth, alias)
        length = self._length(node)
        inner = self.selection(node.selection_set, factor * length, depth + 1, inside)
        return Cost(factor + inner.fields, inner.depth, alias + inner.aliases)

    def _length(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value != "limit":
                continue
            value = argument.value
            if isinstance(value, IntValueNode):
                return max(1, int(value.value[:6]))
            if isinstance(value, VariableNode) and isinstance(
                given := self.variables.get(value.name.value), int
            ):
                return max(1, given)
        name = node.name.value
        return 1 if name.startswith(_INTROSPECTION) else _LISTS.get(name, 1)
