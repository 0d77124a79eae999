"""The trace of a deployment that this process executes."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from services.deploy.tests.deployments.local_scheduler import request, running_scheduler, until_status


async def test_every_step_is_a_span_of_one_trace(harness: DeploymentHarness) -> None:
    """The trace of the request contains all steps of all devices, each linked to the trace of the upload.

    The span of an activation says when the device changed: the moment of the first lit beat.
    """
    upload = "4bf92f3577b34da6a3ce929d0e0e4736"
    bundle = harness.new.model_copy(update={"traceparent": f"00-{upload}-00f067aa0ba902b7-01"})
    devices = await harness.add_devices(2, connect=False)
    for device in devices:
        await device.connect()
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    ids = [device.id for device in devices]
    async with running_scheduler(harness, tracer=tracer):
        with tracer.start_as_current_span("request") as asking:
            deployment = await request(harness, ids, bundle=bundle)
        await until_status(harness, deployment, "succeeded")
    finished = [span for span in spans.get_finished_spans() if _is_about(span, deployment, ids)]
    assert {span.context.trace_id for span in finished if span.context} == {
        asking.get_span_context().trace_id
    }
    activated = [span.name for span in finished if (span.attributes or {}).get("k1.activated_at")]
    assert activated == ["deploy activate"] * len(devices)
    linked = {f"{link.context.trace_id:032x}" for span in finished for link in span.links}
    assert linked == {upload}
    for device in devices:
        mine = {span.name for span in finished if (span.attributes or {}).get("k1.device_id") == device.id}
        assert mine == {"deploy check", "deploy stage", "deploy activate", "deploy verify"}


def _is_about(span: ReadableSpan, deployment_id: str, device_ids: list[str]) -> bool:
    """Return whether the span belongs to this test: the scheduler also executes what other tests have left."""
    attributes = span.attributes or {}
    return attributes.get("k1.deployment_id") == deployment_id or attributes.get("k1.device_id") in device_ids
