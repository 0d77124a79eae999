"""Stored telemetry and drift: the owner of the device or track says first whether it exists, then telemetry responds."""

from aiohttp import web

from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.tracks import TRACK_GET, GetTrack, TrackDetail
from k1_contracts.messages.deploy.devices import DEVICE_GET, GetDevice
from k1_contracts.messages.drift import TRACK_DRIFT, GetDrift
from k1_contracts.messages.telemetry_history import (
    DEVICE_TELEMETRY,
    TRACK_TELEMETRY,
    GetDeviceTelemetry,
    GetTrackTelemetry,
    TelemetryWindow,
)
from k1_contracts.tracks import Version
from k1_gateway.errors import ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import build_query


class DriftParameters(TelemetryWindow):
    """The version whose drift is wanted, and the window."""

    track_id: TrackId
    version: Version | None = None
    """The version in use by default."""


async def get_device_telemetry(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Return the stored telemetry of a device."""
    query = build_query(request, GetDeviceTelemetry, params=endpoint.query_params)
    await context.send_query(DEVICE_GET, GetDevice(device_id=query.device_id))
    body = await context.send_query(DEVICE_TELEMETRY, query, endpoint.timeout_s)
    return uncached_response(body, endpoint.status)


async def get_track_telemetry(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Return the stored telemetry of the devices that played a track."""
    query = build_query(request, GetTrackTelemetry, params=endpoint.query_params)
    await context.send_query(TRACK_GET, GetTrack(track_id=query.track_id))
    body = await context.send_query(TRACK_TELEMETRY, query, endpoint.timeout_s)
    return uncached_response(body, endpoint.status)


async def get_drift(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return where devices lose the beat of a version, by default of the one in use."""
    wanted = build_query(request, DriftParameters, params=endpoint.query_params)
    version = wanted.version
    if version is None:
        found = await context.send_query(TRACK_GET, GetTrack(track_id=wanted.track_id))
        version = TrackDetail.model_validate_json(found).track.current_version
    if version is None:
        raise ProblemError(
            "genesis_missing", 404, "The track has no map yet; wait until its analysis has ended."
        )
    query = GetDrift.model_validate({**wanted.model_dump(), "version": version})
    body = await context.send_query(TRACK_DRIFT, query, endpoint.timeout_s)
    return uncached_response(body, endpoint.status)
