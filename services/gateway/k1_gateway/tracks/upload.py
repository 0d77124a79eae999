"""`POST /tracks/upload`: passes the form to ingest while it arrives, without storing it, and returns the response."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
from aiohttp import web
from opentelemetry import propagate
from pydantic import ValidationError

from k1_contracts.messages.track_edits import TRACK_RESTORE, RestoreTrack, TrackRestored
from k1_contracts.messages.tracks import UploadAccepted
from k1_gateway.errors import Fault, ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import idempotency_key
from k1_platform.http.body import iter_body
from k1_platform.nats.actors import actor_headers
from k1_platform.nats.rpc import QueryError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=120)
_STATUSES: Final = {"queued": 202, "existing": 200, "restored": 200}
_log = logging.getLogger(__name__)


async def upload_track(context: GatewayContext, request: web.Request, _: Endpoint) -> web.Response:
    """Send the request's body to ingest and return its response. A client that disconnects ends both requests."""
    headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    if (key := idempotency_key(request)) is not None:
        headers["Idempotency-Key"] = key
    propagate.inject(headers)
    headers |= actor_headers()
    body = _RequestBody(request)
    url = f"{context.settings.ingest_url}/upload"
    try:
        async with context.http.post(url, data=body.chunks(), headers=headers, timeout=_TIMEOUT) as response:
            content = await response.read()
            retry_after = response.headers.get("Retry-After")
    except (aiohttp.ClientError, TimeoutError) as error:
        if body.error is not None:
            raise body.error from error
        detail = "The upload could not be accepted; send the same file again in a moment."
        raise ProblemError("service_unavailable", 503, detail) from error
    if response.status not in _STATUSES.values():
        raise _rejection(response.status, retry_after, content)
    accepted = await restore_known_track(context, UploadAccepted.model_validate_json(content))
    return web.Response(
        body=accepted.to_json(),
        status=_STATUSES[accepted.status],
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def restore_known_track(context: GatewayContext, accepted: UploadAccepted) -> UploadAccepted:
    """Restore the track of known bytes if it is deleted, and say so in the response.

    While the catalogue does not respond, an upload is still accepted; then a deleted track stays deleted.
    """
    if accepted.status != "existing":
        return accepted
    query = RestoreTrack(track_id=accepted.track_id, reason="uploaded again")
    try:
        restored = TrackRestored.model_validate_json(await context.send_query(TRACK_RESTORE, query))
    except QueryError as error:
        _log.warning("known track not restored", extra={"track_id": accepted.track_id, "code": error.code})
        return accepted
    return accepted.model_copy(update={"status": "restored"}) if restored.restored else accepted


class _RequestBody:
    """The bytes of the client. An error in reading them is the client's, so it is kept apart from errors of ingest."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.error: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in iter_body(self._request):
                yield chunk
        except Exception as error:
            self.error = error
            raise


def _rejection(status: int, retry_after: str | None, body: bytes) -> ProblemError:
    """Return the problem with which ingest rejects an upload."""
    try:
        rejection: dict[str, Any] = json.loads(body)
        faults = [Fault.model_validate(fault) for fault in rejection.get("errors", [])]
        problem = ProblemError(rejection["code"], status, rejection["message"], errors=faults)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        detail = "The upload could not be accepted; try again in a moment."
        raise ProblemError("bad_gateway", 502, detail) from error
    if retry_after:
        problem.headers["Retry-After"] = retry_after
    return problem
