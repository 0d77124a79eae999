"""`GET .../export/{format}`: the beats and sections of a version as a file for another program."""

from typing import Final

from aiohttp import web

from k1_contracts.exports import ExportVersion
from k1_contracts.genesis import GenesisView
from k1_contracts.messages.catalogue.tracks import (
    GENESIS_GET,
    TRACK_GET,
    GetGenesis,
    GetTrack,
    MapLayer,
    TrackDetail,
)
from k1_gateway.exports.formats import FORMATS
from k1_gateway.exports.song import Song
from k1_gateway.http.content_disposition import content_disposition
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import cacheable_response
from k1_gateway.http.request_parsing import build_query
from k1_platform.nats.queries.rpc_documents import Document, request_document
from k1_platform.processes.threads import in_thread

_MAX_NAME: Final = 100


async def export_version(context: GatewayContext, request: web.Request, _: Endpoint) -> web.Response:
    """Return the file, written from the map in a thread; the same version gives the same bytes."""
    query = build_query(request, ExportVersion)
    wanted = FORMATS[query.format]
    layers: list[MapLayer] | None = None if query.format == "json" else ["rhythm", "annotations"]
    genesis_query = GetGenesis(track_id=query.track_id, version=query.version, layers=layers)
    document = await request_document(context.bus.broker, GENESIS_GET, genesis_query)
    answer = await context.send_query(TRACK_GET, GetTrack(track_id=query.track_id))
    track = TrackDetail.model_validate_json(answer).track
    body = await in_thread(lambda: wanted.write(_song(track.title, track.artist, track.filename, document)))
    response = cacheable_response(request, body)
    if response.status == web.HTTPOk.status_code:
        response.content_type = wanted.media_type
        response.headers["Content-Disposition"] = content_disposition(track.title[:_MAX_NAME] + wanted.suffix)
    return response


def _song(title: str, artist: str | None, file_name: str, document: Document) -> Song:
    genesis = GenesisView.model_validate_json(document.json())
    return Song(title, artist or "", file_name, document.json(), genesis)
