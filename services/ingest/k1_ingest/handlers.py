"""The index of ingest: the route `POST /upload`, whose body is a multipart form, and the events that it consumes."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k1_contracts.durables import INGEST
from k1_contracts.messages.track_edits import TRACK_PURGED
from k1_contracts.messages.tracks import UploadAccepted
from k1_ingest.errors import RETRY_AFTER_S, UploadRejectedError
from k1_ingest.form.reader import UploadFormReader
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads.purged_tracks import PurgedTracks
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.errors import TransientError
from k1_platform.nats.client import Bus
from k1_platform.nats.consumers import Handler, consume_table

_MAX_KEY_LENGTH = 255
_STATUSES = {"queued": 202, "existing": 200}
_log = logging.getLogger(__name__)


def consume_events(bus: Bus, purged: PurgedTracks) -> None:
    """Consume the events on the durable `ingest`."""
    consume_table(bus.broker, INGEST, [Handler(TRACK_PURGED, purged.handle_purged)], workers=1)


class UploadHandler:
    """Accepts a limited number of uploads at the same time. Further ones wait, with their bytes unread."""

    def __init__(
        self, service: UploadService, client: Client, settings: IngestSettings, registry: CollectorRegistry
    ) -> None:
        self._service = service
        self._client = client
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.concurrent_uploads)
        self._outcomes = Counter("k1_ingest_uploads", "Uploads by outcome", ["outcome"], registry=registry)
        self._running = Gauge("k1_ingest_uploads_in_progress", "Uploads in progress", registry=registry)
        self._seconds = Histogram(
            "k1_ingest_upload_seconds", "Time from the start of an upload to its response", registry=registry
        )

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that ingest serves beside those of the platform."""
        return [web.post("/upload", self.upload)]

    async def upload(self, request: web.Request) -> web.Response:
        """Return 202 for a new song, 200 for known bytes, otherwise a rejection with its code."""
        try:
            accepted = await self._accept(request)
        except UploadRejectedError as error:
            self._outcomes.labels(error.code).inc()
            return rejection_response(error)
        except TransientError as error:
            _log.warning("upload failed", extra={"reason": str(error)})
            self._outcomes.labels("dependency_unavailable").inc()
            return rejection_response(_UNAVAILABLE)
        self._outcomes.labels(accepted.status).inc()
        return web.json_response(body=accepted.to_json(), status=_STATUSES[accepted.status])

    async def _accept(self, request: web.Request) -> UploadAccepted:
        if not self._client.is_connected:
            raise TransientError("not connected to NATS")
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= _MAX_KEY_LENGTH:
            message = f"The header Idempotency-Key must have 1 to {_MAX_KEY_LENGTH} characters."
            raise UploadRejectedError("invalid_idempotency_key", 422, message)
        async with self._slot():
            form = UploadFormReader(request, self._settings.receive_timeout_s)
            return await self._service.accept(form, key)

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._settings.queue_timeout_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise _BUSY from error
        try:
            with self._running.track_inprogress(), self._seconds.time():
                yield
        finally:
            self._slots.release()


_UNAVAILABLE = UploadRejectedError(
    "dependency_unavailable",
    503,
    "The song cannot be accepted at the moment; send the same upload again in a few seconds.",
)
_BUSY = UploadRejectedError("busy", 503, "Too many uploads are under way; try again in a few seconds.")


def rejection_response(error: UploadRejectedError) -> web.Response:
    """Return the JSON response that the gateway turns into a problem."""
    body: dict[str, object] = {"code": error.code, "message": str(error)}
    if error.faults:
        body["errors"] = [{"name": fault.name, "message": fault.message} for fault in error.faults]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else {}  # noqa: PLR2004
    return web.json_response(body, status=error.status, headers=headers)
