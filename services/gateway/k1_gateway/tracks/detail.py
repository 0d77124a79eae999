"""`GET` and `PATCH /tracks/{id}`: a track under a strong entity tag, which begins with the revision of its edits.

So If-None-Match compares the whole content, and If-Match only the revision: the progress of an analysis or a deployment
does not reject an edit.
"""

import re
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Any, Final, Self

from aiohttp import web
from pydantic import Field, WithJsonSchema, model_validator

from k1_contracts.base import NOT_BLANK, Contract
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.track_edits import (
    MAX_BATCH,
    TRACK_BATCH,
    TRACK_EDIT,
    BatchAction,
    BatchTracks,
    EditedArtist,
    EditedTags,
    EditedTitle,
    EditTrack,
    Notes,
)
from k1_contracts.messages.catalogue.tracks import TRACK_GET, GetTrack
from k1_contracts.tracks import Preset, Version
from k1_contracts.upload_form import MAX_TAGS
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import content_tag, if_match_tags, if_none_match_tags, strong_tag_headers
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import build_query, idempotency_key, read_document
from k1_platform.nats.actors import current_actor

_REVISION: Final = re.compile(rb'\{"revision":(\d+)')
_TITLE_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": 300, "pattern": NOT_BLANK}
_TAG_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": NOT_BLANK}


class TrackPatch(Contract):
    """The fields of a track to change; null removes a value, and an absent field does not change."""

    title: Annotated[EditedTitle | None, WithJsonSchema(_TITLE_SCHEMA)] = None
    artist: EditedArtist | None = None
    tags: Annotated[
        EditedTags | None,
        WithJsonSchema({"type": "array", "maxItems": MAX_TAGS, "items": _TAG_SCHEMA}),
    ] = None
    preset: Preset | None = None
    notes: Notes | None = None
    """Markdown."""
    current_version: Version | None = None
    """A version with a map: it is shown and deployed by default until a newer one is ready. Null: the newest one."""

    @model_validator(mode="after")
    def _has_title_and_tags(self) -> Self:
        if any(name in self.model_fields_set and getattr(self, name) is None for name in ("title", "tags")):
            raise ValueError("title and tags cannot be null; an empty list removes the tags")
        return self

    def to_fields(self) -> dict[str, Any]:
        """Return the fields of the query: the new values, and which fields to clear."""
        given = {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }
        clear = [name for name, value in given.items() if value is None]
        return {name: value for name, value in given.items() if value is not None} | {"clear": clear}


class TrackBatch(Contract):
    """One action on many tracks."""

    action: BatchAction
    track_ids: Annotated[list[TrackId], Field(min_length=1, max_length=MAX_BATCH)]
    tags: EditedTags | None = None
    """Of `tag` and `untag`."""
    preset: Preset | None = None
    """Of `set_preset`, where null removes the preset, and of `analyse`."""


async def get_track(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return the track, or 304 when the client holds this content."""
    query = build_query(request, GetTrack, params=endpoint.query_params)
    body = await context.send_query(TRACK_GET, query)
    tag = _track_tag(body)
    held = if_none_match_tags(request)
    if tag in held or "*" in held:
        return web.Response(status=304, headers=strong_tag_headers(tag))
    return web.Response(body=body, content_type="application/json", headers=strong_tag_headers(tag))


async def edit_track(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Send the edit to the catalogue and return the track as it is then."""
    patch = await read_document(request, TrackPatch)
    extra = patch.to_fields() | {"if_match": if_match_tags(request)}
    body = await context.send_query(
        TRACK_EDIT, build_query(request, EditTrack, extra=extra), endpoint.timeout_s
    )
    headers = {**strong_tag_headers(_track_tag(body)), "Cache-Control": "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def run_batch(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Send the batch to the catalogue and return its results."""
    batch = await read_document(request, TrackBatch)
    query = BatchTracks(**batch.model_dump(), idempotency_key=idempotency_key(request))
    async with _analysis_allowance(context, request, batch):
        result = await context.send_query(TRACK_BATCH, query, endpoint.timeout_s)
    return uncached_response(result, endpoint.status)


def _analysis_allowance(
    context: GatewayContext, request: web.Request, batch: TrackBatch
) -> AbstractAsyncContextManager[object]:
    """Return the allowance for analyses, of which a batch that analyses takes one.

    How many jobs a person may have at the same time limits the size of such batches.
    """
    if batch.action != "analyse":
        return nullcontext()
    return context.rate_limiter.admit("analyses", request.remote, current_actor())


def _track_tag(body: bytes) -> str:
    found = _REVISION.match(body)
    revision = found[1].decode() if found else "0"
    return f"{revision}-{content_tag(body, time.time())}"
