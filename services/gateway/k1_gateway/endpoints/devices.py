"""Lists the endpoints of devices."""

from typing import Final

from k1_contracts.messages.deploy.devices import DEVICE_GET, DEVICE_LIST
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    NO_DEVICE,
    PAGED,
    UNAVAILABLE,
)
from k1_gateway.http.relay import relay

DEVICES: Final = (
    Endpoint(
        "GET", "/devices", "listDevices", "Devices", "The devices, with their presence and what they run",
        relay, query=DEVICE_LIST,
        query_params=("group", "include_revoked", "limit", "offset", "cursor"),
        responses={200: ("Devices", DEVICE_LIST.response)}, problems={**PAGED, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/devices/{device_id}", "getDevice", "Devices",
        "A device: firmware, node types, free flash, presence, reported and desired state",
        relay, query=DEVICE_GET,
        responses={200: ("The device", DEVICE_GET.response)},
        problems=NO_DEVICE,
    ),
)  # fmt: skip
