"""Runs the scheduler in the test's process, with any clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry

from k1_contracts.envelope import Envelope
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.bundles import BundleInfo, GetBundle
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, ActivateOnDownbeat, RequestDeployment
from k1_contracts.messages.deploy.device_link import DeviceReply
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.devices.device_link.trusted_keys import TrustedKeyCache, TrustUpdater
from k1_deploy.orchestration.events.live_feed import LiveFeed
from k1_deploy.orchestration.execution.executor_factory import ExecutorFactory
from k1_deploy.orchestration.execution.scheduler import DeploymentScheduler
from k1_deploy.orchestration.observability.step_metrics import StepMetrics
from k1_deploy.orchestration.steps.device_commands import DeviceCommands
from k1_deploy.orchestration.storage.bundle_locations import BundleLocator
from k1_deploy.requests.orders import DeploymentRequests
from k1_deploy.saga.entries import truncate_to_ms
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.nats.streams.publisher import make_message
from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from tests.support.waiting import eventually


def wall_clock() -> datetime:
    return truncate_to_ms(datetime.now(UTC))


class RecordingLink(DeviceLink):
    """The real link, which records the progress replies that it delivered."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.delivered: list[DeviceReply] = []

    async def call(
        self, *args: Any, on_progress: Callable[[DeviceReply], None] | None = None, **options: Any
    ) -> DeviceReply:
        def deliver(reply: DeviceReply) -> None:
            if on_progress:
                on_progress(reply)
            self.delivered.append(reply)

        return await super().call(*args, on_progress=deliver, **options)

    def armed(self) -> set[str]:
        """Return the devices that have confirmed that they are armed."""
        return {
            each.device_id for each in self.delivered if (each.verb, each.status) == ("activate", "accepted")
        }


@asynccontextmanager
async def running_scheduler(
    harness: DeploymentHarness,
    clock: Callable[[], datetime] = wall_clock,
    tracer: trace.Tracer | None = None,
) -> AsyncIterator[RecordingLink]:
    """Run the scheduler until the block ends."""
    link = RecordingLink(harness.client, lambda: clock().timestamp() * 1000)
    await link.start()

    async def downbeats(_: ActivateOnDownbeat) -> list[float]:
        return harness.list_downbeats()

    async def no_keys() -> KeySet:
        raise AssertionError("every device trusts the key")

    factory = ExecutorFactory(
        pool=harness.pool,
        commands=DeviceCommands(link, BundleLocator(harness.pool, harness.objects), Random(0)),
        trust=TrustUpdater(link, TrustedKeyCache(no_keys)),
        live=LiveFeed(harness.client),
        metrics=StepMetrics(CollectorRegistry()),
        downbeats=downbeats,
        tracer=tracer or trace.NoOpTracer(),
        clock=clock,
    )
    running = asyncio.create_task(DeploymentScheduler(harness.pool, factory, clock, lease_s=60).run())
    try:
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def request(
    harness: DeploymentHarness, device_ids: Sequence[str], *, bundle: BundleInfo | None = None, **changes: Any
) -> str:
    """Open a deployment of the new bundle, or of another description of it."""

    async def get_bundle(_: GetBundle) -> BundleInfo:
        return bundle or harness.new

    body = RequestDeployment.model_validate(
        {
            "deployment_id": new_id("dep"),
            "track_id": harness.new.bundle.track_id,
            "version": 1,
            "device_ids": device_ids,
            "strategy": {"observe_seconds": 0},
            "activation": harness.on_the_next_downbeat(),
            "requested_at": wall_clock(),
            **changes,
        }
    )
    outgoing = make_message(DEPLOY_REQUESTED, body, source="test")
    event = Delivery(Envelope.from_headers(outgoing.headers), body, DEPLOY_REQUESTED.subject)
    await DeploymentRequests(harness.pool, get_bundle, guard_s=0.0).handle_request(event)
    return body.deployment_id


async def until_status(harness: DeploymentHarness, deployment_id: str, status: str) -> None:
    async def reached() -> bool:
        seen = await harness.status(deployment_id)
        assert seen == status or seen not in {"failed", "rolled_back", "succeeded"}, seen
        return seen == status

    await eventually(reached, f"{deployment_id} becomes {status}")
