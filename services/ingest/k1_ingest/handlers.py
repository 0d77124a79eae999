"""`POST /upload`: the form in, the answer or the refusal out."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k1_contracts.messages.tracks import UploadAccepted
from k1_ingest.errors import RETRY_AFTER_S, UploadRefusedError
from k1_ingest.form import UploadForm
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads import Uploads
from k1_platform.errors import TransientError

_LONGEST_KEY = 255
_STATUSES = {"queued": 202, "existing": 200}
_log = logging.getLogger(__name__)


class UploadHandler:
    """Takes a limited number of uploads at a time; the rest wait with their bytes unread."""

    def __init__(
        self, uploads: Uploads, client: Client, settings: IngestSettings, registry: CollectorRegistry
    ) -> None:
        self._uploads = uploads
        self._client = client
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.concurrent_uploads)
        self._outcomes = Counter("k1_ingest_uploads", "Uploads by outcome", ["outcome"], registry=registry)
        self._running = Gauge("k1_ingest_uploads_in_progress", "Uploads under way", registry=registry)
        self._seconds = Histogram(
            "k1_ingest_upload_seconds", "Time from an upload's turn to its answer", registry=registry
        )

    def routes(self) -> list[web.RouteDef]:
        """The service's own route table."""
        return [web.post("/upload", self.upload)]

    async def upload(self, request: web.Request) -> web.Response:
        """202 for a new song, 200 for known bytes, a refusal with its code otherwise."""
        try:
            answer = await self._take(request)
        except UploadRefusedError as error:
            self._outcomes.labels(error.code).inc()
            return refusal(error)
        except TransientError as error:
            _log.warning("upload failed", extra={"reason": str(error)})
            self._outcomes.labels("dependency_unavailable").inc()
            return refusal(_UNAVAILABLE)
        self._outcomes.labels(answer.status).inc()
        return web.json_response(body=answer.to_json(), status=_STATUSES[answer.status])

    async def _take(self, request: web.Request) -> UploadAccepted:
        if not self._client.is_connected:
            raise TransientError("not connected to NATS")
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= _LONGEST_KEY:
            message = f"The header Idempotency-Key must have 1 to {_LONGEST_KEY} characters."
            raise UploadRefusedError("invalid_idempotency_key", 422, message)
        async with self._turn():
            return await self._uploads.take(UploadForm(request, self._settings.receive_timeout_s), key)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._settings.queue_timeout_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise _BUSY from error
        try:
            with self._running.track_inprogress(), self._seconds.time():
                yield
        finally:
            self._turns.release()


_UNAVAILABLE = UploadRefusedError(
    "dependency_unavailable",
    503,
    "The song cannot be taken in at the moment; send the same upload again in a few seconds.",
)
_BUSY = UploadRefusedError("busy", 503, "Too many uploads are under way; try again in a few seconds.")


def refusal(error: UploadRefusedError) -> web.Response:
    """The JSON that the gateway turns into a problem."""
    body: dict[str, object] = {"code": error.code, "message": str(error)}
    if error.problems:
        body["errors"] = [{"name": item.name, "message": item.message} for item in error.problems]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else {}  # noqa: PLR2004
    return web.json_response(body, status=error.status, headers=headers)
