"""A deployment driven in this process: what it leaves in the trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from k1_contracts import subjects
from k1_contracts.bundles import BundleInfo, GetBundle
from k1_contracts.deployments import ActivateOnDownbeat, RequestDeployment
from k1_contracts.graph_queries import KeySet
from k1_contracts.ids import new_id
from k1_deploy.devices.link import DeviceLink
from k1_deploy.devices.trust import TrustedKeys, TrustKeeper
from k1_deploy.driving.bundles import Bundles
from k1_deploy.driving.commands import Commands
from k1_deploy.driving.live import LiveFeed
from k1_deploy.driving.opening import Opening
from k1_deploy.driving.runner import Runner
from k1_deploy.driving.step_metrics import StepMetrics
from k1_deploy.requests import Requests
from k1_deploy.saga.entries import logged
from k1_platform.broker import make_event
from k1_platform.consuming import Event
from services.deploy.tests.theatre import Theatre, open_theatre, until
from tests.support.infrastructure import Infrastructure


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


async def test_every_step_is_a_span_of_one_trace(theatre: Theatre) -> None:
    """The trace of the request goes through all steps of all devices."""
    devices = await theatre.add_devices(2, connect=False)
    for device in devices:
        await device.connect()
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    runner = await _runner(theatre, provider.get_tracer("test"))
    running = asyncio.create_task(runner.run())
    with provider.get_tracer("test").start_as_current_span("request") as request:
        deployment = await _request(theatre, [device.id for device in devices])

    async def succeeded() -> bool:
        return await theatre.status(deployment) == "succeeded"

    await until(succeeded, "the deployment succeeds")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    finished = spans.get_finished_spans()
    assert {span.context.trace_id for span in finished if span.context} == {
        request.get_span_context().trace_id
    }
    for device in devices:
        mine = {span.name for span in finished if (span.attributes or {}).get("k1.device_id") == device.id}
        assert mine == {"deploy check", "deploy stage", "deploy activate", "deploy verify"}


async def _runner(theatre: Theatre, tracer: trace.Tracer) -> Runner:
    link = DeviceLink(theatre.client)
    await link.start()
    commands = Commands(link, Bundles(theatre.pool, theatre.objects), Random(0))

    async def no_downbeats(_: ActivateOnDownbeat) -> list[float]:
        return []

    async def no_keys() -> KeySet:
        raise AssertionError("every device trusts the key")

    def now() -> datetime:
        return logged(datetime.now(UTC))

    opening = Opening(
        pool=theatre.pool,
        commands=commands,
        trust=TrustKeeper(link, TrustedKeys(no_keys)),
        live=LiveFeed(theatre.client),
        metrics=StepMetrics(CollectorRegistry()),
        downbeats=no_downbeats,
        tracer=tracer,
        clock=now,
    )
    return Runner(theatre.pool, opening, now, lease_s=5)


async def _request(theatre: Theatre, device_ids: list[str]) -> str:
    async def get_bundle(_: GetBundle) -> BundleInfo:
        return theatre.new

    body = RequestDeployment.model_validate(
        {
            "deployment_id": new_id("dep"),
            "track_id": theatre.new.bundle.track_id,
            "version": 1,
            "device_ids": device_ids,
            "strategy": {"observe_seconds": 0},
            "requested_at": logged(datetime.now(UTC)),
        }
    )
    envelope, _ = make_event(subjects.DEPLOY_REQUESTED, body, source="test", about=body.deployment_id)
    event = Event(envelope, body, subjects.DEPLOY_REQUESTED)
    await Requests(theatre.pool, get_bundle, guard_s=0.0).requested(event)
    return body.deployment_id
