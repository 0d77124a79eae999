"""Deployments that are driven in the test's own process, by whatever clock the test likes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry

from k1_contracts import subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.bundles import BundleInfo, GetBundle
from k1_contracts.messages.deployments import ActivateOnDownbeat, RequestDeployment
from k1_contracts.messages.device_link import DeviceReply
from k1_contracts.messages.graphs import KeySet
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
from services.deploy.tests.theatre import Theatre, until


def wall_clock() -> datetime:
    return logged(datetime.now(UTC))


class Link(DeviceLink):
    """The real one, which notes what it has told its callers of."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told: list[DeviceReply] = []

    async def call(
        self, *args: Any, on_progress: Callable[[DeviceReply], None] | None = None, **options: Any
    ) -> DeviceReply:
        def tell(reply: DeviceReply) -> None:
            if on_progress:
                on_progress(reply)
            self.told.append(reply)

        return await super().call(*args, on_progress=tell, **options)

    def armed(self) -> set[str]:
        """The devices of which it is known that they are armed."""
        return {each.device_id for each in self.told if (each.verb, each.status) == ("activate", "accepted")}


@asynccontextmanager
async def driving(
    theatre: Theatre,
    clock: Callable[[], datetime] = wall_clock,
    tracer: trace.Tracer | None = None,
) -> AsyncIterator[Link]:
    """Drive what is due until the block ends."""
    link = Link(theatre.client, lambda: clock().timestamp() * 1000)
    await link.start()

    async def downbeats(_: ActivateOnDownbeat) -> list[float]:
        return theatre.list_downbeats()

    async def no_keys() -> KeySet:
        raise AssertionError("every device trusts the key")

    opening = Opening(
        pool=theatre.pool,
        commands=Commands(link, Bundles(theatre.pool, theatre.objects), Random(0)),
        trust=TrustKeeper(link, TrustedKeys(no_keys)),
        live=LiveFeed(theatre.client),
        metrics=StepMetrics(CollectorRegistry()),
        downbeats=downbeats,
        tracer=tracer or trace.NoOpTracer(),
        clock=clock,
    )
    running = asyncio.create_task(Runner(theatre.pool, opening, clock, lease_s=60).run())
    try:
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def request(theatre: Theatre, device_ids: Sequence[str], **changes: Any) -> str:
    """Open a deployment of the new bundle."""

    async def get_bundle(_: GetBundle) -> BundleInfo:
        return theatre.new

    body = RequestDeployment.model_validate(
        {
            "deployment_id": new_id("dep"),
            "track_id": theatre.new.bundle.track_id,
            "version": 1,
            "device_ids": device_ids,
            "strategy": {"observe_seconds": 0},
            "activation": theatre.on_the_next_downbeat(),
            "requested_at": wall_clock(),
            **changes,
        }
    )
    envelope, _ = make_event(subjects.DEPLOY_REQUESTED, body, source="test", about=body.deployment_id)
    event = Event(envelope, body, subjects.DEPLOY_REQUESTED)
    await Requests(theatre.pool, get_bundle, guard_s=0.0).requested(event)
    return body.deployment_id


async def until_status(theatre: Theatre, deployment_id: str, status: str) -> None:
    async def reached() -> bool:
        seen = await theatre.status(deployment_id)
        assert seen == status or seen not in {"failed", "rolled_back", "succeeded"}, seen
        return seen == status

    await until(reached, f"{deployment_id} becomes {status}")
