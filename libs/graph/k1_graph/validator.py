"""The validator: any JSON value in, every violation out, never an exception."""

from collections.abc import Mapping

from k1_contracts.graph import GraphDocument, GraphValidation, Violation
from k1_graph.errors import GraphInvalidError
from k1_graph.graph import Graph, Node, assemble
from k1_graph.graph_rules import check_graph
from k1_graph.limits import VIOLATIONS_MAX
from k1_graph.node_rules import Known, check_node
from k1_graph.shape import Report, read_document


def validate(document: object) -> GraphValidation:
    """Check a parsed JSON document against every rule. Never raises, whatever it is handed."""
    return _examine(document)[0]


def compile_graph(document: GraphDocument) -> Graph:
    """Resolve a document for use. Raises GraphInvalidError, which holds the validation, when it has errors."""
    validation, nodes = _examine(document.model_dump(mode="json", exclude_none=True))
    if not validation.ok:
        raise GraphInvalidError(validation)
    return assemble(nodes.values())


def parse_graph(document: object) -> tuple[GraphDocument, Graph]:
    """Validate untrusted JSON and resolve it. Raises GraphInvalidError when it has errors."""
    validation, nodes = _examine(document)
    if not validation.ok:
        raise GraphInvalidError(validation)
    return GraphDocument.model_validate(document), assemble(nodes.values())


def _examine(document: object) -> tuple[GraphValidation, Mapping[str, Node]]:
    report = Report()
    drafts, ids = read_document(document, report)
    known = Known({draft.id: draft for draft in drafts}, ids)
    nodes = {draft.id: check_node(draft, known, report) for draft in drafts}
    if nodes or not any(violation.severity == "error" for violation in report.found):
        check_graph(nodes, report)
    return _summary(report.found), nodes


def _summary(found: list[Violation]) -> GraphValidation:
    ordered = sorted(found, key=lambda violation: violation.severity)
    errors = sum(violation.severity == "error" for violation in found)
    shown = ordered[:VIOLATIONS_MAX]
    if len(ordered) > VIOLATIONS_MAX:
        shown.append(
            Violation(
                rule="more",
                severity="error" if errors > VIOLATIONS_MAX else "warning",
                message=f"{len(ordered) - VIOLATIONS_MAX} more violations are not listed",
                fix="Put right the ones above first.",
            )
        )
    return GraphValidation(ok=not errors, errors=errors, warnings=len(found) - errors, violations=shown)
