"""Sets up OpenTelemetry tracing for a service."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from k1_platform.settings import ObservabilitySettings

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_IDS: Final = RandomIdGenerator()


def configure_tracing(service: str, version: str, settings: ObservabilitySettings) -> TracerProvider:
    """Create the tracer provider of the process and return it.

    Trace ids are always passed on. Spans are recorded only when an OTLP endpoint is set.
    """
    resource = Resource.create(
        {
            "service.name": f"k1-{service}",
            "service.version": version,
            "deployment.environment.name": settings.environment,
        }
    )
    exported = settings.otlp_endpoint is not None
    provider = TracerProvider(resource=resource, sampler=DEFAULT_ON if exported else ALWAYS_OFF)
    if exported:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


@web.middleware
async def pass_trace_on(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Continue the trace of a request, or begin one, without recording a span.

    OpenTelemetry's own instrumentation collects the attributes of a span before it knows whether the span is recorded.
    """
    headers = {name: request.headers[name] for name in _PROPAGATOR.fields if name in request.headers}
    found = _PROPAGATOR.extract(headers, context.Context())
    caller = trace.get_current_span(found).get_span_context()
    here = trace.SpanContext(
        caller.trace_id if caller.is_valid else _IDS.generate_trace_id(),
        _IDS.generate_span_id(),
        is_remote=False,
        trace_state=caller.trace_state,
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(here), found))
    try:
        return await handler(request)
    finally:
        context.detach(token)
