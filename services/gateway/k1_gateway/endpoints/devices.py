"""Lists the endpoints of devices."""

from typing import Final

from k1_contracts.messages.deploy.devices import DEVICE_ADD, DEVICE_GET, DEVICE_LIST, DEVICE_REVOKE
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
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
    Endpoint(
        "POST", "/devices", "addDevices", "Devices",
        "Provision devices: a credential for each, shown once, with the keys that they are to trust",
        relay, query=DEVICE_ADD, body_fields=("device_ids", "transport", "group", "renew"),
        responses={201: ("The credentials", DEVICE_ADD.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            422: "`invalid_parameter`, `invalid_body`",
            409: "`device_exists`: with `renew` it gets a new credential and the old one becomes invalid",
        },
    ),
    Endpoint(
        "POST", "/devices/revoke", "revokeDevices", "Devices",
        "Revoke the credentials of devices; those that are connected are cut off at once",
        relay, query=DEVICE_REVOKE, body_fields=("device_ids",),
        responses={200: ("The revoked devices", DEVICE_REVOKE.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            404: "`device_not_found`",
            422: "`invalid_parameter`, `invalid_body`",
        },
    ),
)  # fmt: skip
