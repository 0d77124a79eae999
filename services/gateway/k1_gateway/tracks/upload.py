"""Passes uploads to ingest while they arrive, without storing them, and returns its responses."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp import web
from opentelemetry import propagate
from pydantic import ValidationError

from k1_contracts.messages.catalogue.track_edits import TRACK_RESTORE, RestoreTrack, TrackRestored
from k1_contracts.messages.catalogue.track_uploads import TRACK_COMPLETE, CompleteTrack
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_gateway.errors import Fault, ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import BASE_PATH, Endpoint
from k1_gateway.http.request_parsing import build_query, idempotency_key, read_body_fields
from k1_platform.http.body import iter_body
from k1_platform.nats.actors import actor_headers
from k1_platform.nats.queries.rpc import QueryError

_TUS_REQUEST: Final = (
    "Content-Type",
    "Content-Length",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Defer-Length",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
_TUS_RESPONSE: Final = ("K1-", "Tus-", "Upload-", "Cache-Control")
_STATUS_HEADER: Final = "K1-Upload-Status"
_TRACK_HEADERS: Final = {"track_id": "K1-Track-Id", "job_id": "K1-Job-Id", "status": _STATUS_HEADER}
"""Field of UploadAccepted -> header of a resumable upload that is whole."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=120)
_UNSAID: Final[dict[str, Any]] = {"code": "upload_refused", "message": "The upload is refused."}
"""For HEAD, whose response has no body."""
_STATUSES: Final = {"queued": 202, "existing": 200, "restored": 200}
_log = logging.getLogger(__name__)


async def upload_track(context: GatewayContext, request: web.Request, _: Endpoint) -> web.Response:
    """Send the request's body to ingest and return its response. A client that disconnects ends both requests."""
    headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    if (key := idempotency_key(request)) is not None:
        headers["Idempotency-Key"] = key
    answer = await _send(context, request, "/upload", headers)
    if answer.status in _STATUSES.values():
        return await _accepted(context, answer.body)
    raise _problem(answer)


async def complete_track(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Have ingest take over a song that was sent to the object store."""
    await read_body_fields(request, ())
    query = build_query(request, CompleteTrack, params=(), extra={})
    return await _accepted(context, await context.send_query(TRACK_COMPLETE, query, endpoint.timeout_s))


async def relay_tus(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Send a request of the tus protocol to ingest and return its response, with the headers of the protocol."""
    if endpoint.parameter_model is not None:
        build_query(request, endpoint.parameter_model, params=(), extra={})
    headers = {name: request.headers[name] for name in _TUS_REQUEST if name in request.headers}
    answer = await _send(context, request, request.path.removeprefix(BASE_PATH), headers)
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name.lower().startswith(tuple(map(str.lower, _TUS_RESPONSE)))
    }
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise _problem(answer, kept)
    if "Location" in answer.headers:
        kept["Location"] = f"{BASE_PATH}/uploads/{answer.headers['Location']}"
    if _STATUS_HEADER in kept:
        accepted = UploadAccepted.model_validate(
            {name: kept[header] for name, header in _TRACK_HEADERS.items()}
        )
        kept[_STATUS_HEADER] = (await restore_known_track(context, accepted)).status
    return web.Response(status=answer.status, headers=kept)


async def _accepted(context: GatewayContext, body: bytes) -> web.Response:
    accepted = await restore_known_track(context, UploadAccepted.model_validate_json(body))
    return web.Response(
        body=accepted.to_json(),
        status=_STATUSES[accepted.status],
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """The response of ingest."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def _send(context: GatewayContext, request: web.Request, path: str, headers: dict[str, str]) -> _Answer:
    """Send the request's body to ingest, as the actor of the request."""
    propagate.inject(headers)
    headers |= actor_headers()
    body = _RequestBody(request)
    try:
        async with context.ingest_http.request(
            request.method,
            context.settings.ingest_url + path,
            data=body.chunks() if request.body_exists else None,
            headers=headers,
            timeout=_TIMEOUT,
        ) as response:
            return _Answer(response.status, response.headers, await response.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        if body.error is not None:
            raise body.error from error
        detail = "The upload could not be accepted; send the same file again in a moment."
        raise ProblemError("service_unavailable", 503, detail) from error


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


def _problem(answer: _Answer, headers: Mapping[str, str] | None = None) -> ProblemError:
    """Return the rejection of ingest as a problem of the gateway."""
    try:
        rejection: dict[str, Any] = json.loads(answer.body) if answer.body else _UNSAID
        faults = [Fault.model_validate(fault) for fault in rejection.get("errors", [])]
        problem = ProblemError(
            rejection["code"], answer.status, rejection["message"], errors=faults, headers=headers
        )
    except (ValueError, KeyError, TypeError, ValidationError):
        detail = "The upload could not be accepted; try again in a moment."
        return ProblemError("bad_gateway", 502, detail)
    if "Retry-After" in answer.headers:
        problem.headers["Retry-After"] = answer.headers["Retry-After"]
    return problem
