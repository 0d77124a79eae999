"""Lists the endpoints of alarms and of the figures of the fleet."""

from typing import Final

from k1_contracts.messages.alarms import ALARM_ACKNOWLEDGE, ALARM_LIST
from k1_contracts.messages.fleet import FLEET_GET
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, PAGED, UNAVAILABLE
from k1_gateway.http.relay import relay
from k1_gateway.live.event_models import FleetStreamEvent
from k1_gateway.live.fleet_stream import stream_fleet

ALARMS: Final = (
    Endpoint(
        "GET", "/alarms", "listAlarms", "Alarms", "The alarms of devices, newest first",
        relay, query=ALARM_LIST, query_params=("state", "device_id", "limit", "cursor"),
        responses={200: ("A page of alarms", ALARM_LIST.response)}, problems={**PAGED, **UNAVAILABLE},
    ),
    Endpoint(
        "POST", "/alarms/{alarm_id}/acknowledge", "acknowledgeAlarm", "Alarms",
        "Say that somebody takes care of an alarm. Repeating it changes nothing: the first name and note stay",
        relay, query=ALARM_ACKNOWLEDGE, body_fields=("note",),
        responses={200: ("The alarm", ALARM_ACKNOWLEDGE.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE, 404: "`alarm_not_found`", 409: "`alarm_cleared`: it is over",
            422: "`invalid_parameter`, `invalid_body`",
        },
    ),
    Endpoint(
        "GET", "/fleet", "getFleet", "Fleet",
        "The figures of the whole fleet: active devices by firmware and bundle, alarms, deployments, worst drift",
        relay, query=FLEET_GET,
        responses={200: ("The figures", FLEET_GET.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/fleet/stream", "streamFleet", "Fleet",
        "The figures of the fleet as server-sent events: at once, every five seconds and at changes. The live feed has "
        "them under the topic `fleet`",
        stream_fleet, query=FLEET_GET,
        responses={200: ("The stream; it does not end", FleetStreamEvent)}, problems={**INVALID, **UNAVAILABLE},
        media_type="text/event-stream", rate_limit="streams",
    ),
)  # fmt: skip
