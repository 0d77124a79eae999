"""`POST /deployments`: asked of deploy whether it can be, then ordered on the bus."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final, Self

from aiohttp import web
from pydantic import AfterValidator, Field, model_validator

from k1_contracts import streams, subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.deployment_queries import (
    Check,
    DeploymentAccepted,
    DeploymentPlan,
    GetDeployment,
    PlanDeployment,
)
from k1_contracts.messages.deployments import DEPLOYMENT_MAX_DEVICES, DeploymentOrder, RequestDeployment
from k1_contracts.messages.device_link import DeviceId
from k1_gateway import idempotency
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint
from k1_gateway.idempotency import Reserved, require_same
from k1_gateway.parsing import idempotency_key, read_document
from k1_gateway.problems import Fault, ProblemError
from k1_gateway.relaying import fresh
from k1_platform.errors import TransientError
from k1_platform.nats.client import make_event, publish_event
from k1_platform.nats.rpc import QueryError

_CREATED_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02
_FAULTS_IN_WORDS: Final = 5


def _once(names: list[str] | None) -> list[str] | None:
    return None if names is None else list(dict.fromkeys(names))


class DeploymentBody(DeploymentOrder):
    """What a client posts: devices by id, or a group."""

    device_ids: (
        Annotated[
            list[DeviceId], Field(min_length=1, max_length=DEPLOYMENT_MAX_DEVICES), AfterValidator(_once)
        ]
        | None
    ) = None
    dry_run: bool = False
    """Only say what would happen."""

    @model_validator(mode="after")
    def _devices_or_group(self) -> Self:
        if (self.device_ids is None) == (self.group is None):
            raise ValueError("give either device_ids or group")
        return self

    def order(self) -> DeploymentOrder:
        """Without what only the edge needs."""
        return DeploymentOrder.model_validate(self.model_dump(exclude={"dry_run"}))


async def request_deployment(api: Api, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Refuse what cannot be, tell what would be, or order it; the answer waits until it can be looked at."""
    key = idempotency_key(request)
    body = await read_document(request, DeploymentBody)
    order = body.order()
    if body.dry_run:
        plan = await api.ask(endpoint.subject, _question(order, with_impacts=True), endpoint.timeout_s)
        return fresh(plan, 200)
    deployment_id = await _ordered_before(api, key, order) or await _order(api, key, order, endpoint)
    return fresh(DeploymentAccepted(deployment_id=deployment_id).to_json(), endpoint.status)


async def _ordered_before(api: Api, key: str | None, order: DeploymentOrder) -> str | None:
    """The deployment of an earlier request with this key, where deploy has it."""
    reserved = await idempotency.find(api.bus.jetstream, key) if key is not None else None
    if reserved is None:
        return None
    require_same(reserved, _digest(order))
    return reserved.deployment_id if await _is_created(api, reserved.deployment_id) else None


async def _order(api: Api, key: str | None, order: DeploymentOrder, endpoint: Endpoint) -> str:
    answer = await api.ask(endpoint.subject, _question(order, with_impacts=False), endpoint.timeout_s)
    plan = DeploymentPlan.model_validate_json(answer)
    if not plan.would_start:
        raise _blocked(plan)
    wanted = Reserved(deployment_id=new_id("dep"), order_sha256=_digest(order))
    if key is not None:
        wanted = await idempotency.reserve(api.bus.jetstream, key, wanted)
        require_same(wanted, _digest(order))
    await _publish(api, wanted.deployment_id, order)
    await _await_creation(api, wanted.deployment_id)
    return wanted.deployment_id


def _question(order: DeploymentOrder, *, with_impacts: bool) -> PlanDeployment:
    return PlanDeployment.model_validate({**order.model_dump(), "with_impacts": with_impacts})


async def _publish(api: Api, deployment_id: str, order: DeploymentOrder) -> None:
    asked = {**order.model_dump(), "deployment_id": deployment_id, "requested_at": datetime.now(UTC)}
    command = RequestDeployment.model_validate(asked)
    # The id of the event follows from the deployment's: told twice, it is one.
    event = make_event(subjects.DEPLOY_REQUESTED, command, source="gateway", about=deployment_id)
    try:
        await publish_event(api.bus.broker, subjects.DEPLOY_REQUESTED, *event, stream=streams.EVENTS)
    except TransientError as error:
        detail = (
            "The broker did not confirm the order. Send it again; with an Idempotency-Key it starts once."
        )
        raise ProblemError("service_unavailable", 503, detail) from error


async def _await_creation(api: Api, deployment_id: str) -> None:
    """So that a client which was told an id never hears that there is no such deployment.

    The order is in the stream by now. Should deploy go away at this very moment, the answer is 202 nevertheless:
    the deployment will be there as soon as deploy is.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_CREATED_WITHIN_S):
            while not await _is_created(api, deployment_id):  # noqa: ASYNC110  only deploy's answer tells
                await asyncio.sleep(_LOOK_EVERY_S)


async def _is_created(api: Api, deployment_id: str) -> bool:
    try:
        await api.ask(subjects.RPC_DEPLOYMENT_GET, GetDeployment(deployment_id=deployment_id))
    except QueryError:
        return False
    return True


def _digest(order: DeploymentOrder) -> str:
    return sha256(order.to_json()).hexdigest()


def _blocked(plan: DeploymentPlan) -> ProblemError:
    """Every gate that did not pass, of the show and of each device."""
    faults = [*_failed(plan.checks), *(f for d in plan.devices for f in _failed(d.checks, f"{d.device_id}."))]
    words = [f"{fault.name}: {fault.message}" for fault in faults[:_FAULTS_IN_WORDS]]
    more = len(faults) - len(words)
    told = "; ".join([*words, *([f"and {more} more, see errors"] if more else [])])
    detail = (
        f"The deployment would not start. {told or 'There is no device to take it'}. Mend that, leave these devices "
        "out, let strategy.max_failures allow for them, or override the gates."
    )
    return ProblemError("deployment_blocked", 409, detail, errors=faults)


def _failed(checks: list[Check], prefix: str = "") -> Iterator[Fault]:
    for check in checks:
        if not check.passed and not check.overridden:
            yield Fault(name=f"{prefix}{check.gate}", message=check.reason or "did not pass")
