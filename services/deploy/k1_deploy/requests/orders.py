"""Handles `deploy.requested`: opens the deployment, or records why it cannot be carried out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from opentelemetry import propagate

from k1_contracts.durables import DEPLOY
from k1_contracts.messages.deploy.bundles import BundleInfo, GetBundle
from k1_contracts.messages.deploy.deployment_queries import Check
from k1_contracts.messages.deploy.deployments import RequestDeployment
from k1_deploy.devices import device_store
from k1_deploy.gates import blocking_reason, show_checks
from k1_deploy.orchestration.storage import deployment_store
from k1_deploy.orchestration.storage.bundle_locations import save_location
from k1_deploy.requests.plans import find_targets, require_overridable
from k1_deploy.saga.entries import Opened, truncate_to_ms
from k1_deploy.saga.state import StopReason
from k1_deploy.saga.transitions import fold
from k1_platform.errors import TransientError
from k1_platform.nats.actors import acting_name
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class DeploymentRequests:
    """Opens deployments."""

    pool: Pool
    get_bundle: Callable[[GetBundle], Awaitable[BundleInfo]]
    guard_s: float

    async def handle_request(self, event: Delivery[RequestDeployment]) -> None:
        """Open the deployment once, however often the request is delivered.

        Raises:
            TransientError: the catalogue is unavailable.
        """
        name = acting_name(event.body.requested_by)
        request = event.body.model_copy(update={"requested_by": name})
        found = await self._bundle(request)
        async with self.pool.acquire() as connection, connection.transaction():
            if await mark_handled(connection, device_store.SCHEMA, DEPLOY.name, event.envelope.id):
                await self._open(connection, request, found, event.envelope.traceparent)

    async def _bundle(self, request: RequestDeployment) -> BundleInfo | StopReason:
        try:
            return await self.get_bundle(GetBundle(track_id=request.track_id, version=request.version))
        except QueryError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TransientError(f"the catalogue does not respond with the bundle: {error}") from error
            return StopReason(error.code, str(error))

    async def _open(
        self,
        connection: Connection,
        request: RequestDeployment,
        found: BundleInfo | StopReason,
        traceparent: str | None,
    ) -> None:
        info = found if isinstance(found, BundleInfo) else None
        checks = show_checks(info, request.overrides) if info else []
        device_ids, stop = await _targets(connection, request)
        stop = found if isinstance(found, StopReason) else stop or _failed_gate(checks)
        opened = Opened(
            at=truncate_to_ms(request.requested_at),
            bundle=info.bundle if info else None,
            device_ids=device_ids,
            strategy=request.strategy,
            activation=request.activation,
            guard_s=self.guard_s,
            problem=stop.reason if stop else None,
            problem_code=stop.code if stop else None,
        )
        row = deployment_store.DeploymentRow(
            request, info, checks, _current_traceparent() or traceparent, closed=False
        )
        await deployment_store.insert_deployment(
            connection, row, fold(request.deployment_id, [opened]), [opened]
        )
        if info:
            await save_location(connection, info)
        await _audit(connection, request)


async def _targets(connection: Connection, request: RequestDeployment) -> tuple[list[str], StopReason | None]:
    try:
        require_overridable(request)
        return list(await find_targets(connection, request)), None
    except QueryError as error:
        return list(dict.fromkeys(request.device_ids or [])), StopReason(error.code, str(error))


def _failed_gate(checks: Sequence[Check]) -> StopReason | None:
    reason = blocking_reason(checks)
    return StopReason("gate_failed", reason) if reason else None


async def _audit(connection: Connection, request: RequestDeployment) -> None:
    async def write(action: str, device_id: str | None = None, detail: str | None = None) -> None:
        await device_store.write_audit(
            connection,
            [device_id],
            at=request.requested_at,
            stated=request.requested_by,
            action=action,
            detail=detail,
            deployment_id=request.deployment_id,
        )

    await write("requested")
    for each in request.overrides:
        await write(f"overrode {each.gate}", each.device_id, each.reason)


def _current_traceparent() -> str | None:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
