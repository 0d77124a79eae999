"""`GET /tracks/{id}/audio`: the uploaded file of a track, or a small copy of it, for a browser's player."""

from typing import Final

from aiohttp import web

from k1_contracts.messages.catalogue.media import AUDIO_GET, AudioSource, GetAudio
from k1_gateway.http.content_disposition import content_disposition
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_gateway.media.object_stream import stream_object

_COPY_TIMEOUT_S: Final = 60.0
"""The first request for a small copy waits until it is made."""


async def get_audio(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
    """Stream the audio, whole or in parts."""
    query = build_query(request, GetAudio, params=endpoint.query_params)
    source = AudioSource.model_validate_json(await context.send_query(AUDIO_GET, query, _COPY_TIMEOUT_S))
    headers = {
        "Content-Disposition": content_disposition(source.filename, "inline"),
        "Cache-Control": "private, no-cache",
    }
    return await stream_object(context, request, source, headers)
