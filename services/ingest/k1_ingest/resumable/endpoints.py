"""Serves tus 1.0 over HTTP: OPTIONS, POST, HEAD, PATCH and DELETE of `/uploads`."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web
from nats.aio.client import Client

from k1_ingest.errors import UploadRejectedError
from k1_ingest.resumable import protocol
from k1_ingest.resumable.record import ResumableUpload
from k1_ingest.resumable.tus_service import TusService
from k1_ingest.uploads.responses import UNAVAILABLE, rejection_response
from k1_ingest.uploads.slots import UploadSlots
from k1_platform.errors import TransientError
from k1_platform.http.body import iter_body

_RESUMABLE: Final = {"Tus-Resumable": protocol.VERSION}
_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.Response]]


class TusEndpoints:
    """The five methods. The track of a whole upload stands in the headers of PATCH and HEAD."""

    def __init__(self, service: TusService, client: Client, slots: UploadSlots) -> None:
        self._service = service
        self._client = client
        self._slots = slots

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        one = "/uploads/{upload_id}"
        return [
            web.options("/uploads", self.describe),
            web.post("/uploads", self._guarded(self.create)),
            web.head(one, self._guarded(self.show)),
            web.patch(one, self._guarded(self.append)),
            web.delete(one, self._guarded(self.terminate)),
        ]

    async def describe(self, _: web.Request) -> web.Response:
        """Return which versions, extensions and sizes are served."""
        return web.Response(status=204, headers=self._capabilities())

    async def create(self, request: web.Request) -> web.Response:
        """Begin an upload; `Location` is its id, which the gateway makes a path."""
        upload_id, upload = await self._service.create(request.headers)
        return web.Response(
            status=201, headers={"Location": upload_id, "Upload-Expires": _http_date(upload.expires_at)}
        )

    async def show(self, request: web.Request) -> web.Response:
        """Return how much has arrived."""
        upload = (await self._service.find(_id(request))).record
        length = (
            {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
        )
        metadata = {"Upload-Metadata": upload.metadata} if upload.metadata else {}
        return web.Response(headers={**_state(upload), **length, **metadata, "Cache-Control": "no-store"})

    async def append(self, request: web.Request) -> web.Response:
        """Add bytes."""
        async with self._slots.take():
            upload = await self._service.append(_id(request), request.headers, _body(request))
        if upload.accepted is not None:
            self._slots.outcomes.labels(upload.accepted.status).inc()
        return web.Response(status=204, headers=_state(upload))

    async def terminate(self, request: web.Request) -> web.Response:
        """Forget an upload."""
        await self._service.terminate(_id(request))
        return web.Response(status=204)

    def _guarded(self, handler: _Handler) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                protocol.require_version(request.headers)
                self._require_connection()
                response = await handler(request)
            except UploadRejectedError as error:
                self._slots.outcomes.labels(error.code).inc()
                headers = self._capabilities() if error.code == "tus_version" else _RESUMABLE
                return rejection_response(error, headers)
            except TransientError as error:
                _log.warning("upload failed", extra={"reason": str(error)})
                self._slots.outcomes.labels("dependency_unavailable").inc()
                return rejection_response(UNAVAILABLE, _RESUMABLE)
            response.headers.update(_RESUMABLE)
            return response

        return handle

    def _require_connection(self) -> None:
        if not self._client.is_connected:
            raise TransientError("not connected to NATS")

    def _capabilities(self) -> dict[str, str]:
        return {
            **_RESUMABLE,
            "Tus-Version": protocol.VERSION,
            "Tus-Extension": protocol.EXTENSIONS,
            "Tus-Max-Size": str(self._service.max_bytes),
            "Tus-Checksum-Algorithm": ",".join(protocol.ALGORITHMS),
        }


def _state(upload: ResumableUpload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": _http_date(upload.expires_at)}
    if upload.accepted is not None:
        headers |= {
            "K1-Track-Id": upload.accepted.track_id,
            "K1-Job-Id": upload.accepted.job_id,
            "K1-Upload-Status": upload.accepted.status,
        }
    return headers


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body; raise UploadRejectedError where it ends early or pauses for too long."""
    try:
        async for chunk in iter_body(request):
            yield chunk
    except web.HTTPRequestTimeout as error:
        message = "Nothing came for too long; ask for the offset with HEAD and go on from there."
        raise UploadRejectedError("upload_timeout", 408, message) from error
    except web.HTTPUnsupportedMediaType as error:
        raise UploadRejectedError("unsupported_media_type", 415, f"{error.reason}.") from error
    except (web.HTTPException, ConnectionError) as error:
        message = "The connection ended early; ask for the offset with HEAD and go on from there."
        raise UploadRejectedError("upload_interrupted", 400, message) from error


def _id(request: web.Request) -> str:
    return request.match_info["upload_id"]


def _http_date(time: datetime) -> str:
    return format_datetime(time, usegmt=True)
