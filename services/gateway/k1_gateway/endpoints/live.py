"""Lists the endpoints of live data."""

from typing import Final

from k1_contracts.messages.tracks import TRACK_GET
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    NO_TRACK,
)
from k1_gateway.live.event_models import TelemetryStreamEvent
from k1_gateway.live.telemetry_stream import WatchTelemetry, stream_telemetry

LIVE: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/telemetry/stream", "streamTelemetry", "Live",
        "Readings and events of the devices that play a track as server-sent events: readings as `message`, "
        "events under their name; `id` and `Last-Event-ID` replay what was missed in the last ten minutes",
        stream_telemetry, query=TRACK_GET, parameter_model=WatchTelemetry, query_params=("last_event_id",),
        responses={200: ("The stream; it does not end", TelemetryStreamEvent)}, problems=NO_TRACK,
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
)  # fmt: skip
