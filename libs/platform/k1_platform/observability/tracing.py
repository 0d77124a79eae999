"""Sets up OpenTelemetry tracing for a service."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON

from k1_platform.settings import ObservabilitySettings


def configure_tracing(service: str, version: str, settings: ObservabilitySettings) -> TracerProvider:
    """Create the tracer provider of the process and return it.

    Trace ids are always passed on. Spans are recorded only when an OTLP endpoint is set.
    """
    resource = Resource.create({"service.name": f"k1-{service}", "service.version": version})
    exported = settings.otlp_endpoint is not None
    provider = TracerProvider(resource=resource, sampler=DEFAULT_ON if exported else ALWAYS_OFF)
    if exported:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider
