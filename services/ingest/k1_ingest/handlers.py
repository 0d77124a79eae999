"""The index of ingest: `POST /upload` with the multipart form of an upload, `/uploads` after tus 1.0, queries, events."""

import logging

from aiohttp import web
from nats.aio.client import Client

from k1_contracts.durables import INGEST
from k1_contracts.messages.catalogue.track_edits import TRACK_PURGED
from k1_contracts.messages.catalogue.track_uploads import TRACK_COMPLETE, TRACK_CREATE
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_ingest.errors import UploadRejectedError
from k1_ingest.form.reader import UploadFormReader
from k1_ingest.presigned.presigned_service import PresignedService
from k1_ingest.resumable.endpoints import TusEndpoints
from k1_ingest.settings import IngestSettings
from k1_ingest.uploads.purged_tracks import PurgedTracks
from k1_ingest.uploads.responses import UNAVAILABLE, rejection_response
from k1_ingest.uploads.slots import UploadSlots
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.streams.consumers import Handler, consume_table

_MAX_KEY_LENGTH = 255
_STATUSES = {"queued": 202, "existing": 200}
_log = logging.getLogger(__name__)


def consume_events(bus: Bus, purged: PurgedTracks) -> None:
    """Consume the events on the durable `ingest`."""
    consume_table(bus.broker, INGEST, [Handler(TRACK_PURGED, purged.handle_purged)], workers=1)


class UploadHandler:
    """Accepts a limited number of uploads at the same time. Further ones wait, with their bytes unread."""

    def __init__(
        self, service: UploadService, client: Client, settings: IngestSettings, slots: UploadSlots
    ) -> None:
        self._service = service
        self._client = client
        self._settings = settings
        self._slots = slots

    async def upload(self, request: web.Request) -> web.Response:
        """Return 202 for a new song, 200 for known bytes, otherwise a rejection with its code."""
        try:
            accepted = await self._accept(request)
        except UploadRejectedError as error:
            self._slots.outcomes.labels(error.code).inc()
            return rejection_response(error)
        except TransientError as error:
            _log.warning("upload failed", extra={"reason": str(error)})
            self._slots.outcomes.labels("dependency_unavailable").inc()
            return rejection_response(UNAVAILABLE)
        self._slots.outcomes.labels(accepted.status).inc()
        return web.json_response(body=accepted.to_json(), status=_STATUSES[accepted.status])

    async def _accept(self, request: web.Request) -> UploadAccepted:
        if not self._client.is_connected:
            raise TransientError("not connected to NATS")
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= _MAX_KEY_LENGTH:
            message = f"The header Idempotency-Key must have 1 to {_MAX_KEY_LENGTH} characters."
            raise UploadRejectedError("invalid_idempotency_key", 422, message)
        async with self._slots.take():
            form = UploadFormReader(request, self._settings.receive_timeout_s)
            return await self._service.accept(form, key)


def make_routes(upload: UploadHandler, tus: TusEndpoints) -> list[web.RouteDef]:
    """Return the routes that ingest serves beside those of the platform."""
    return [web.post("/upload", upload.upload), *tus.routes()]


def serve_queries(bus: Bus, presigned: PresignedService) -> None:
    """Answer the queries of the gateway."""
    handlers = [
        QueryHandler(TRACK_CREATE, presigned.create_track),
        QueryHandler(TRACK_COMPLETE, presigned.complete_track),
    ]
    respond(bus.broker, handlers)
