"""Validates graph documents: accepts any JSON value and lists every violation."""

from collections.abc import Mapping

from k1_contracts.graph import GraphDocument, GraphValidation, Violation
from k1_graph.errors import GraphInvalidError
from k1_graph.graph import Graph, Node, build_graph
from k1_graph.limits import VIOLATIONS_MAX
from k1_graph.validation.document_reader import ViolationCollector, read_document
from k1_graph.validation.graph_rules import check_graph
from k1_graph.validation.node_rules import KnownNodes, check_node


def validate(document: object) -> GraphValidation:
    """Check a parsed JSON document against every rule. Never raises, whatever the value is."""
    return _check_document(document)[0]


def compile_graph(document: GraphDocument) -> Graph:
    """Build the graph of a document. Raises GraphInvalidError, with the validation, when it has errors."""
    validation, nodes = _check_document(document.model_dump(mode="json", exclude_none=True))
    if not validation.ok:
        raise GraphInvalidError(validation)
    return build_graph(nodes.values())


def parse_graph(document: object) -> tuple[GraphDocument, Graph]:
    """Validate untrusted JSON and build its graph. Raises GraphInvalidError when it has errors."""
    validation, nodes = _check_document(document)
    if not validation.ok:
        raise GraphInvalidError(validation)
    return GraphDocument.model_validate(document), build_graph(nodes.values())


def _check_document(document: object) -> tuple[GraphValidation, Mapping[str, Node]]:
    violations = ViolationCollector()
    drafts, ids = read_document(document, violations)
    known = KnownNodes({draft.id: draft for draft in drafts}, ids)
    nodes = {draft.id: check_node(draft, known, violations) for draft in drafts}
    if nodes or not any(violation.severity == "error" for violation in violations.items):
        check_graph(nodes, violations)
    return _summarise(violations.items), nodes


def _summarise(violations: list[Violation]) -> GraphValidation:
    ordered = sorted(violations, key=lambda violation: violation.severity)
    errors = sum(violation.severity == "error" for violation in violations)
    listed = ordered[:VIOLATIONS_MAX]
    if len(ordered) > VIOLATIONS_MAX:
        listed.append(
            Violation(
                rule="more",
                severity="error" if errors > VIOLATIONS_MAX else "warning",
                message=f"{len(ordered) - VIOLATIONS_MAX} more violations are not listed",
                fix="Put right the ones above first.",
            )
        )
    return GraphValidation(ok=not errors, errors=errors, warnings=len(violations) - errors, violations=listed)
