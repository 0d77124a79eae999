"""Lists the endpoints of the object store."""

from typing import Final

from k1_contracts.messages.catalogue.storage import STORAGE_CLEANUP, STORAGE_USAGE
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, UNAVAILABLE
from k1_gateway.http.relay import relay

_USAGE_TIMEOUT_S: Final = 60.0
_CLEANUP_TIMEOUT_S: Final = 300.0

STORAGE: Final = (
    Endpoint(
        "GET", "/storage/usage", "getStorageUsage", "Storage",
        "How much is stored, by type, how much a cleanup would free, and whether the store is nearly full",
        relay, query=STORAGE_USAGE,
        responses={200: ("The usage", STORAGE_USAGE.response)}, problems={**INVALID, **UNAVAILABLE},
        timeout_s=_USAGE_TIMEOUT_S,
    ),
    Endpoint(
        "POST", "/storage/cleanup", "cleanUpStorage", "Storage",
        "Remove what no version, deployment or link refers to; without `dry_run: false` only say what that is",
        relay, query=STORAGE_CLEANUP, body_fields=("dry_run",),
        responses={200: ("What was or would be removed", STORAGE_CLEANUP.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE, 409: "`cleanup_running`",
            422: "`invalid_parameter`, `invalid_body`: every fault is named",
        },
        timeout_s=_CLEANUP_TIMEOUT_S,
    ),
)  # fmt: skip
