"""Links the spans of a deployment to the trace of the upload whose show it activates."""

from typing import Final

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from k1_contracts.messages.deploy.bundles import BundleInfo

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def analysis_links(bundle: BundleInfo | None) -> list[trace.Link]:
    """Return a link to the trace that made the version; none where the trace is not known."""
    if bundle is None or bundle.traceparent is None:
        return []
    found = _PROPAGATOR.extract({"traceparent": bundle.traceparent}, context.Context())
    made_in = trace.get_current_span(found).get_span_context()
    return [trace.Link(made_in, {"k1.relation": "analysis"})] if made_in.is_valid else []
