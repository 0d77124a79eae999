"""Uploads, passed on to ingest as they arrive; nothing is kept here."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import aiohttp
from aiohttp import web
from opentelemetry import propagate
from pydantic import BaseModel, Field, ValidationError

from k1_contracts.messages.tracks import UploadAccepted
from k1_contracts.tracks import DEFAULT_PRIORITY, Preset, Priority, Title
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint
from k1_gateway.parsing import idempotency_key
from k1_gateway.problems import Fault, ProblemError
from k1_platform.http.body import iter_body

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=120)
_STATUSES: Final = {"queued": 202, "existing": 200}


class UploadForm(BaseModel):
    """The fields beside the file; ingest reads and checks them."""

    title: Title | None = None
    """The file's name without its extension, unless given."""
    artist: Annotated[str, Field(max_length=300)] | None = None
    tags: Annotated[str, Field(description="Comma-separated, or the field repeated; at most 32.")] | None = (
        None
    )
    preset: Preset | None = None
    priority: Priority = DEFAULT_PRIORITY


async def upload(api: Api, request: web.Request, _: Endpoint) -> web.Response:
    """Pass the form on and the answer back; a client that goes away breaks off the upload behind, too."""
    headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    if (key := idempotency_key(request)) is not None:
        headers["Idempotency-Key"] = key
    propagate.inject(headers)
    body = _Body(request)
    try:
        async with api.http.post(
            f"{api.settings.ingest_url}/upload", data=body.chunks(), headers=headers, timeout=_TIMEOUT
        ) as answer:
            return _passed_on(answer.status, answer.headers.get("Retry-After"), await answer.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        if body.error is not None:
            raise body.error from error
        detail = "The upload could not be taken in; send the same file again in a moment."
        raise ProblemError("service_unavailable", 503, detail) from error


class _Body:
    """The client's bytes on their way; what is wrong with them is the client's answer, not ingest's."""

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


def _passed_on(status: int, retry_after: str | None, raw: bytes) -> web.Response:
    if status in _STATUSES.values():
        accepted = UploadAccepted.model_validate_json(raw)
        return web.Response(
            body=accepted.to_json(),
            status=_STATUSES[accepted.status],
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )
    try:
        refused: dict[str, Any] = json.loads(raw)
        faults = [Fault.model_validate(fault) for fault in refused.get("errors", [])]
        problem = ProblemError(refused["code"], status, refused["message"], errors=faults)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        detail = "The upload could not be taken in; try again in a moment."
        raise ProblemError("bad_gateway", 502, detail) from error
    if retry_after:
        problem.headers["Retry-After"] = retry_after
    raise problem
