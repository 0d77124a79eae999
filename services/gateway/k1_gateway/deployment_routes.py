"""The rows of devices, bundles and deployments.

There is no sign-in yet: `requested_by` is what the caller says of themselves. Devices' credentials are made and
revoked on the command line alone (`k1 devices`), never over HTTP.
"""

from typing import Final

from k1_contracts import subjects
from k1_contracts.messages.bundles import BundleView, GetBundle
from k1_contracts.messages.deployment_queries import (
    ControlDeployment,
    DeploymentAccepted,
    DeploymentPage,
    DeploymentPlan,
    DeploymentView,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.devices import DevicePage, DeviceView, GetDevice, ListDevices
from k1_gateway.deploying import DeploymentBody, request_deployment
from k1_gateway.endpoints import AWAY, BODY_PROBLEMS, INVALID, NO_VERSION, STREAM_END, Endpoint
from k1_gateway.live import deployment_events
from k1_gateway.relaying import relay
from k1_gateway.stream_events import DeploymentStreamEvent

_NO_DEPLOYMENT: Final = {404: "`deployment_not_found`", **INVALID, **AWAY}
_PLAN_TIMEOUT_S: Final = 20.0


def _control(action: str, summary: str) -> Endpoint:
    return Endpoint(
        "POST", f"/deployments/{{deployment_id}}/{action}", f"{action}Deployment", "Deployments", summary,
        relay, subject=subjects.RPC_DEPLOYMENT_CONTROL, question=ControlDeployment,
        body=("requested_by", "reason"), fixed={"action": action},
        answers={200: ("The deployment as it is now", DeploymentView)},
        problems={
            **BODY_PROBLEMS, **_NO_DEPLOYMENT,
            409: "`deployment_state`: there is nothing of the kind to do now",
            422: "`invalid_parameter`, `invalid_body`",
        },
        takes_key=True,
    )  # fmt: skip


DEPLOYMENT_ENDPOINTS: Final = (
    Endpoint(
        "GET", "/devices", "listDevices", "Devices", "The devices, with their presence and what they run",
        relay, subject=subjects.RPC_DEVICE_LIST, question=ListDevices,
        query=("group", "include_revoked", "limit", "offset"),
        answers={200: ("Devices", DevicePage)}, problems={**INVALID, **AWAY},
    ),
    Endpoint(
        "GET", "/devices/{device_id}", "getDevice", "Devices",
        "A device: firmware, node types, free flash, presence, what it runs and should run",
        relay, subject=subjects.RPC_DEVICE_GET, question=GetDevice,
        answers={200: ("The device", DeviceView)},
        problems={404: "`device_not_found`", **INVALID, **AWAY},
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/bundle", "getBundle", "Deployments",
        "The signed bundle of a version, what it costs, and which devices could run it",
        relay, subject=subjects.RPC_BUNDLE_GET, question=GetBundle,
        answers={200: ("The bundle", BundleView)},
        problems={
            **NO_VERSION,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs",
        },
    ),
    Endpoint(
        "POST", "/deployments", "requestDeployment", "Deployments",
        "Put a version on devices, by id or by group, in batches that go back together when one fails. "
        "`requested_by` is taken at its word: there is no sign-in",
        request_deployment, subject=subjects.RPC_DEPLOYMENT_PLAN, question=PlanDeployment,
        document=("order", DeploymentBody), takes_key=True,
        answers={
            202: ("Accepted; it can be looked at now", DeploymentAccepted),
            200: ("With `dry_run`: what would happen", DeploymentPlan),
        },
        problems={
            **BODY_PROBLEMS, **AWAY,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `device_not_found`, `group_not_found`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs; "
            "`deployment_blocked`: it would not start, `errors` names every gate that did not pass",
            422: "`invalid_body`, `invalid_parameter`: every fault is named; `activation_in_the_past`, "
            "`gate_not_overridable`, `group_too_large`, `idempotency_key_reused`",
        },
        timeout_s=_PLAN_TIMEOUT_S, limit="deployments",
    ),
    Endpoint(
        "GET", "/deployments", "listDeployments", "Deployments", "The deployments, newest first",
        relay, subject=subjects.RPC_DEPLOYMENT_LIST, question=ListDeployments,
        query=("track_id", "device_id", "status", "limit", "offset"),
        answers={200: ("Deployments", DeploymentPage)}, problems={**INVALID, **AWAY},
    ),
    Endpoint(
        "GET", "/deployments/{deployment_id}", "getDeployment", "Deployments",
        "A deployment: status, each device's steps with their times, log, who did what",
        relay, subject=subjects.RPC_DEPLOYMENT_GET, question=GetDeployment,
        answers={200: ("The deployment", DeploymentView)}, problems=_NO_DEPLOYMENT,
    ),
    Endpoint(
        "GET", "/deployments/{deployment_id}/events", "watchDeployment", "Deployments",
        "A deployment as server-sent events: `deployment` (DeploymentView) at both ends, "
        "`change` (DeploymentChange) between; the last has the id `end`",
        deployment_events, subject=subjects.RPC_DEPLOYMENT_GET, question=GetDeployment,
        answers={200: ("The stream; it ends with the deployment", DeploymentStreamEvent), **STREAM_END},
        problems=_NO_DEPLOYMENT, media_type="text/event-stream", takes_last_id=True, limit="streams",
    ),
    _control("cancel", "Stop it: what was staged is discarded, what was activated goes back"),
    _control("rollback", "Back to what the devices ran before, also after it succeeded"),
    _control("pause", "Start no further step; running ones finish"),
    _control("resume", "Go on after a pause"),
)  # fmt: skip
