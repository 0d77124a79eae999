"""`GET /tracks/{id}/waveform`: the peaks of a track, as binary or as JSON."""

from typing import Final

from aiohttp import web

from k1_contracts.messages.catalogue.media import (
    WAVEFORM_GET,
    GetWaveform,
    SamplesPerS,
    StoredObject,
)
from k1_gateway.errors import ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import if_none_match_tags, strong_tag_headers
from k1_gateway.http.request_parsing import build_query
from k1_gateway.media.object_stream import fetch_object
from k1_gateway.media.waveform_data import Waveform
from k1_platform.processes.threads import in_thread

BINARY: Final = "application/octet-stream"
_JSON: Final = "application/json"


class WaveformParameters(GetWaveform):
    """The parameters of a waveform."""

    samples_per_s: SamplesPerS | None = None
    """Points per second, at least; all that are stored (210) by default."""


async def get_waveform(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return the waveform of the current version, or of `version`, downsampled on request."""
    wanted = build_query(request, WaveformParameters, params=endpoint.query_params)
    query = GetWaveform(track_id=wanted.track_id, version=wanted.version)
    source = StoredObject.model_validate_json(await context.send_query(WAVEFORM_GET, query))
    media_type = preferred_type(request.headers.get("Accept", "*/*"))
    rate = "all" if wanted.samples_per_s is None else f"{wanted.samples_per_s:g}"
    tag = f"{source.sha256[:32]}-{rate}-{media_type.rpartition('/')[2]}"
    headers = {**strong_tag_headers(tag), "Vary": "Accept"}
    held = if_none_match_tags(request)
    if tag in held or "*" in held:
        return web.Response(status=304, headers=headers)
    data = await fetch_object(context, source)
    try:
        body = await in_thread(_render, data, wanted.samples_per_s, media_type)
    except ValueError as error:
        detail = "The stored waveform cannot be read; analyse the song again, which makes a new one."
        raise ProblemError("waveform_missing", 404, detail) from error
    return web.Response(body=body, content_type=media_type, headers=headers)


def preferred_type(accept: str) -> str:
    """Return JSON where the client prefers it to binary data, else the type of binary data."""
    qualities = {BINARY: 0.0, _JSON: 0.0}
    ranks = dict.fromkeys(qualities, 0)
    for item in accept.lower().split(","):
        kind, _, parameters = item.partition(";")
        for name in qualities:
            rank = _specificity(kind.strip(), name)
            if rank > ranks[name]:
                ranks[name], qualities[name] = rank, _quality(parameters)
    return _JSON if qualities[_JSON] > qualities[BINARY] else BINARY


def _specificity(pattern: str, name: str) -> int:
    """Return how exactly a media range names a type; 0 if it does not."""
    return {name: 3, f"{name.partition('/')[0]}/*": 2, "*/*": 1}.get(pattern, 0)


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _render(data: bytes, points_per_s: float | None, media_type: str) -> bytes:
    stored = Waveform.parse(data)
    waveform = stored.downsampled(stored.factor_for(points_per_s))
    return waveform.to_json() if media_type == _JSON else waveform.to_dat()
