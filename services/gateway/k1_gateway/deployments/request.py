"""`POST /deployments`: ask deploy for its plan, then publish the command that starts the deployment."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final, Self

from aiohttp import web
from pydantic import AfterValidator, Field, model_validator

from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_GET,
    DEPLOYMENT_PLAN,
    Check,
    DeploymentAccepted,
    DeploymentPlan,
    GetDeployment,
    PlanDeployment,
)
from k1_contracts.messages.deploy.deployments import (
    DEPLOY_REQUESTED,
    DEPLOYMENT_MAX_DEVICES,
    DeploymentOrder,
    RequestDeployment,
)
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_gateway.deployments.idempotency import (
    Reservation,
    find_reservation,
    require_same_order,
    reserve,
)
from k1_gateway.errors import Fault, ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import idempotency_key, read_document
from k1_platform.errors import TransientError
from k1_platform.nats.actors import acting_name
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.streams.publisher import publish

_CREATION_TIMEOUT_S: Final = 5.0
_POLL_INTERVAL_S: Final = 0.02
_MAX_FAULTS_IN_DETAIL: Final = 5


def _without_duplicates(names: list[str] | None) -> list[str] | None:
    return None if names is None else list(dict.fromkeys(names))


class DeploymentBody(DeploymentOrder):
    """The body of the request: devices by id, or a group."""

    device_ids: (
        Annotated[
            list[DeviceId],
            Field(min_length=1, max_length=DEPLOYMENT_MAX_DEVICES),
            AfterValidator(_without_duplicates),
        ]
        | None
    ) = None
    dry_run: bool = False
    """Return the plan, and start nothing."""

    @model_validator(mode="after")
    def _devices_or_group(self) -> Self:
        if (self.device_ids is None) == (self.group is None):
            raise ValueError("give either device_ids or group")
        return self

    def order(self) -> DeploymentOrder:
        """Return the deployment request, without the fields that only the gateway uses."""
        return DeploymentOrder.model_validate(self.model_dump(exclude={"dry_run"}))


async def request_deployment(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Return the plan of a dry run, or start the deployment and return its id as soon as the client can read it.

    Raises:
        ProblemError: a gate fails, or the idempotency key was used for another deployment.
    """
    key = idempotency_key(request)
    body = await read_document(request, DeploymentBody)
    order = body.order().model_copy(update={"requested_by": acting_name(body.requested_by)})
    if body.dry_run:
        query = _plan_query(order, with_impacts=True)
        return uncached_response(await context.send_query(DEPLOYMENT_PLAN, query, endpoint.timeout_s), 200)
    accepted = await start_deployment(context, order, key, endpoint.timeout_s)
    return uncached_response(accepted.to_json(), endpoint.status)


async def start_deployment(
    context: GatewayContext, order: DeploymentOrder, key: str | None, timeout_s: float
) -> DeploymentAccepted:
    """Start a deployment; a key that was used before gives the deployment of that time.

    Raises:
        ProblemError: a gate fails, or the key was used for another deployment.
        QueryError: the plan cannot be made.
    """
    deployment_id = await _find_earlier(context, key, order) or await _create(context, key, order, timeout_s)
    return DeploymentAccepted(deployment_id=deployment_id)


async def _find_earlier(context: GatewayContext, key: str | None, order: DeploymentOrder) -> str | None:
    """Return the id of the deployment that an earlier request with this key created, if deploy has it."""
    reserved = await find_reservation(context.bus.jetstream, key) if key is not None else None
    if reserved is None:
        return None
    require_same_order(reserved, order_digest(order))
    return reserved.deployment_id if await _is_created(context, reserved.deployment_id) else None


async def _create(context: GatewayContext, key: str | None, order: DeploymentOrder, timeout_s: float) -> str:
    query = _plan_query(order, with_impacts=False)
    response = await context.send_query(DEPLOYMENT_PLAN, query, timeout_s)
    plan = DeploymentPlan.model_validate_json(response)
    if not plan.would_start:
        raise _blocked_problem(plan)
    digest = order_digest(order)
    reservation = Reservation(deployment_id=new_id("dep"), order_sha256=digest)
    if key is not None:
        reservation = await reserve(context.bus.jetstream, key, reservation)
        require_same_order(reservation, digest)
    await _publish(context, reservation.deployment_id, order)
    await _wait_until_created(context, reservation.deployment_id)
    return reservation.deployment_id


def _plan_query(order: DeploymentOrder, *, with_impacts: bool) -> PlanDeployment:
    return PlanDeployment.model_validate({**order.model_dump(), "with_impacts": with_impacts})


async def _publish(context: GatewayContext, deployment_id: str, order: DeploymentOrder) -> None:
    fields = {**order.model_dump(), "deployment_id": deployment_id, "requested_at": datetime.now(UTC)}
    command = RequestDeployment.model_validate(fields)
    # The id of the event follows from the id of the deployment, so the stream stores a repeated command once.
    try:
        await publish(context.bus.broker, DEPLOY_REQUESTED, command, source="gateway")
    except TransientError as error:
        detail = (
            "The broker did not confirm the request. Send it again; with an Idempotency-Key it starts once."
        )
        raise ProblemError("service_unavailable", 503, detail) from error


async def _wait_until_created(context: GatewayContext, deployment_id: str) -> None:
    """Wait until deploy has the deployment, so that a client which has the id does not get 404.

    The command is in the stream already. When deploy stops at this moment, the response is 202 nevertheless: deploy
    creates the deployment as soon as it runs again.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_CREATION_TIMEOUT_S):
            while not await _is_created(context, deployment_id):  # noqa: ASYNC110  only deploy knows
                await asyncio.sleep(_POLL_INTERVAL_S)


async def _is_created(context: GatewayContext, deployment_id: str) -> bool:
    try:
        await context.send_query(DEPLOYMENT_GET, GetDeployment(deployment_id=deployment_id))
    except QueryError:
        return False
    return True


def order_digest(order: DeploymentOrder) -> str:
    """Return the hash by which a repeated request is compared with the first."""
    return sha256(order.to_json()).hexdigest()


def _blocked_problem(plan: DeploymentPlan) -> ProblemError:
    """Return the problem that names every failed gate, of the show and of each device."""
    faults = [
        *_failed_checks(plan.checks),
        *(
            fault
            for device in plan.devices
            for fault in _failed_checks(device.checks, f"{device.device_id}.")
        ),
    ]
    shown = [f"{fault.name}: {fault.message}" for fault in faults[:_MAX_FAULTS_IN_DETAIL]]
    more = len(faults) - len(shown)
    reasons = "; ".join([*shown, *([f"and {more} more, see errors"] if more else [])])
    detail = (
        f"The deployment would not start. {reasons or 'There is no device to take it'}. Mend that, leave these devices "
        "out, let strategy.max_failures allow for them, or override the gates."
    )
    return ProblemError("deployment_blocked", 409, detail, errors=faults)


def _failed_checks(checks: list[Check], prefix: str = "") -> Iterator[Fault]:
    for check in checks:
        if not check.passed and not check.overridden:
            yield Fault(name=f"{prefix}{check.gate}", message=check.reason or "did not pass")
