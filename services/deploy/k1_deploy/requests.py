"""`deploy.requested`: a deployment begins, or has failed for a reason that a person can read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from opentelemetry import propagate

from k1_contracts.messages.bundles import BundleInfo, GetBundle
from k1_contracts.messages.deployment_queries import Check
from k1_contracts.messages.deployments import RequestDeployment
from k1_contracts.streams import DEPLOY
from k1_deploy import store
from k1_deploy.devices import device_store
from k1_deploy.driving.bundles import remember_bundle
from k1_deploy.gates import blocking_reason, show_checks
from k1_deploy.planning import require_overridable, targets
from k1_deploy.saga.entries import Opened, logged
from k1_deploy.saga.state import Stop
from k1_deploy.saga.transitions import fold
from k1_platform.consuming import Event
from k1_platform.database import Connection, Pool
from k1_platform.errors import TransientError
from k1_platform.inbox import first_time
from k1_platform.rpc import AnswerError

CONSUMER: Final = DEPLOY.name


@dataclass(frozen=True, slots=True)
class Requests:
    """Opens deployments."""

    pool: Pool
    get_bundle: Callable[[GetBundle], Awaitable[BundleInfo]]
    guard_s: float

    async def requested(self, event: Event[RequestDeployment]) -> None:
        """Open it once, however often the request comes.

        Raises:
            TransientError: the catalogue does not answer now.
        """
        request = event.body
        found = await self._bundle(request)
        async with self.pool.acquire() as connection, connection.transaction():
            if await first_time(connection, device_store.SCHEMA, CONSUMER, event.envelope.id):
                await self._open(connection, request, found, event.envelope.traceparent)

    async def _bundle(self, request: RequestDeployment) -> BundleInfo | Stop:
        try:
            return await self.get_bundle(GetBundle(track_id=request.track_id, version=request.version))
        except AnswerError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TransientError(f"the catalogue does not tell of the bundle: {error}") from error
            return Stop(error.code, str(error))

    async def _open(
        self,
        connection: Connection,
        request: RequestDeployment,
        found: BundleInfo | Stop,
        traceparent: str | None,
    ) -> None:
        info = found if isinstance(found, BundleInfo) else None
        checks = show_checks(info, request.overrides) if info else []
        device_ids, stop = await _targets(connection, request)
        stop = found if isinstance(found, Stop) else stop or _show_stop(checks)
        opened = Opened(
            at=logged(request.requested_at),
            bundle=info.bundle if info else None,
            device_ids=device_ids,
            strategy=request.strategy,
            activation=request.activation,
            guard_s=self.guard_s,
            problem=stop.reason if stop else None,
            problem_code=stop.code if stop else None,
        )
        row = store.DeploymentRow(request, info, checks, _trace() or traceparent, closed=False)
        await store.insert_deployment(connection, row, fold(request.deployment_id, [opened]), [opened])
        if info:
            await remember_bundle(connection, info)
        await _audit(connection, request)


async def _targets(connection: Connection, request: RequestDeployment) -> tuple[list[str], Stop | None]:
    try:
        require_overridable(request)
        return list(await targets(connection, request)), None
    except AnswerError as error:
        return list(dict.fromkeys(request.device_ids or [])), Stop(error.code, str(error))


def _show_stop(checks: Sequence[Check]) -> Stop | None:
    reason = blocking_reason(checks)
    return Stop("gate_failed", reason) if reason else None


async def _audit(connection: Connection, request: RequestDeployment) -> None:
    async def write(action: str, device_id: str | None = None, detail: str | None = None) -> None:
        await device_store.write_audit(
            connection,
            [device_id],
            at=request.requested_at,
            actor=request.requested_by,
            action=action,
            detail=detail,
            deployment_id=request.deployment_id,
        )

    await write("requested")
    for each in request.overrides:
        await write(f"overrode {each.gate}", each.device_id, each.reason)


def _trace() -> str | None:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
