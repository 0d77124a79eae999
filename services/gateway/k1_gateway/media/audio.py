"""`GET /tracks/{id}/audio`: the uploaded file of a track, for a browser's player."""

from aiohttp import web

from k1_contracts.messages.catalogue.media import AUDIO_GET, AudioSource, GetAudio
from k1_gateway.http.content_disposition import content_disposition
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_gateway.media.object_stream import stream_object


async def get_audio(context: GatewayContext, request: web.Request, _: Endpoint) -> web.StreamResponse:
    """Stream the audio, whole or in parts."""
    query = build_query(request, GetAudio)
    source = AudioSource.model_validate_json(await context.send_query(AUDIO_GET, query))
    headers = {
        "Content-Disposition": content_disposition(source.filename, "inline"),
        "Cache-Control": "private, no-cache",
    }
    return await stream_object(context, request, source, headers)
