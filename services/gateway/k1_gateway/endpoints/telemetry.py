"""Lists the endpoints of stored telemetry and of drift."""

from typing import Final

from k1_contracts.messages.drift import TRACK_DRIFT
from k1_contracts.messages.telemetry_history import DEVICE_TELEMETRY, TRACK_TELEMETRY
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import INVALID, NO_DEVICE, NO_MAP, NO_TRACK
from k1_gateway.telemetry.history import (
    DriftParameters,
    get_device_telemetry,
    get_drift,
    get_track_telemetry,
)

_TIMEOUT_S: Final = 20.0
_WINDOW: Final = ("last", "from", "to")
_CHART: Final = (*_WINDOW, "step", "fields", "max_points")
_STEP: Final = {422: f"{INVALID[422]}; a step that is too small for the window says which one is not"}

TELEMETRY: Final = (
    Endpoint(
        "GET", "/telemetry/{device_id}", "getDeviceTelemetry", "Telemetry",
        "The stored telemetry of a device for a chart: average, minimum and maximum of each step, and of the drift the "
        "95th percentile. Without `step` it fits the window",
        get_device_telemetry, query=DEVICE_TELEMETRY, query_params=_CHART,
        responses={200: ("The points", DEVICE_TELEMETRY.response)}, problems={**NO_DEVICE, **_STEP},
        timeout_s=_TIMEOUT_S,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/telemetry", "getTrackTelemetry", "Telemetry",
        "The stored telemetry of all devices while they played a track, as one series",
        get_track_telemetry, query=TRACK_TELEMETRY, query_params=_CHART,
        responses={200: ("The points", TRACK_TELEMETRY.response)}, problems={**NO_TRACK, **_STEP},
        timeout_s=_TIMEOUT_S,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/drift", "getDrift", "Telemetry",
        "Where devices lose the beat of a version: the measured drift by section and by beat over all plays and devices, "
        "and what to do about the worst places. By default of all readings that are stored",
        get_drift, query=TRACK_DRIFT, parameter_model=DriftParameters, query_params=("version", *_WINDOW),
        responses={200: ("The drift", TRACK_DRIFT.response)}, problems={**NO_MAP, **INVALID},
        timeout_s=_TIMEOUT_S,
    ),
)  # fmt: skip
