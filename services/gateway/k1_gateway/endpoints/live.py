"""Lists the endpoints of live data."""

from typing import Final

from k1_contracts.messages.catalogue.tracks import TRACK_GET
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import INVALID, NO_TRACK, UNAVAILABLE, UNSAFE
from k1_gateway.live.event_models import TelemetryStreamEvent
from k1_gateway.live.feed_models import FeedPage, FeedStreamEvent
from k1_gateway.live.feed_poll import poll_feed
from k1_gateway.live.feed_requests import PollFeed, WatchFeed
from k1_gateway.live.feed_stream import stream_feed
from k1_gateway.live.telemetry_stream import WatchTelemetry, stream_telemetry
from k1_gateway.live.websocket.connection import serve_websocket

LIVE: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/telemetry/stream", "streamTelemetry", "Live",
        "Readings and events of the devices that play a track as server-sent events: readings as `message`, "
        "events under their name; `id` and `Last-Event-ID` replay what was missed in the last ten minutes",
        stream_telemetry, query=TRACK_GET, parameter_model=WatchTelemetry, query_params=("last_event_id",),
        responses={200: ("The stream; it does not end", TelemetryStreamEvent)}, problems=NO_TRACK,
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    Endpoint(
        "GET", "/events/stream", "streamEvents", "Live",
        "Everything that happens, by topic, as server-sent events of the default type; `type` stands in the JSON. "
        "`Last-Event-ID` replays what was missed; `gap` says that it is no longer there",
        stream_feed, parameter_model=WatchFeed, query_params=("topics", "last_event_id"),
        responses={200: ("The stream; it does not end", FeedStreamEvent)}, problems={**INVALID, **UNAVAILABLE},
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    Endpoint(
        "GET", "/events/poll", "pollEvents", "Live",
        "The same events by long polling: what came after an id, at most 200, or the first that comes",
        poll_feed, parameter_model=PollFeed, query_params=("topics", "after", "timeout_s"),
        responses={200: ("The events, and the id to go on from", FeedPage)}, problems={**INVALID, **UNAVAILABLE},
        rate_limit="streams",
    ),
    Endpoint(
        "GET", "/ws", "openWebSocket", "Live",
        "The same events over a WebSocket, both ways; subprotocols `k1.json` and `k1.msgpack`. docs/live.md has the "
        "messages",
        serve_websocket, parameter_model=WatchFeed, query_params=("topics", "last_event_id"),
        responses={101: ("The connection is a WebSocket now", None)},
        problems={
            **INVALID, **UNAVAILABLE, 403: UNSAFE[403],
            426: "`upgrade_required`: this is a WebSocket",
        },
        rate_limit="streams",
    ),
)  # fmt: skip
