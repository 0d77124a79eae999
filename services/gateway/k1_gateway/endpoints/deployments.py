"""Lists the endpoints of bundles and deployments."""

from typing import Final

from k1_contracts.messages.deploy import deployment_queries
from k1_contracts.messages.deploy.bundles import BUNDLE_GET
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
)
from k1_gateway.deployments.request import DeploymentBody, request_deployment
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    NO_DEPLOYMENT,
    NO_VERSION,
    PAGED,
    UNAVAILABLE,
)
from k1_gateway.http.relay import relay
from k1_gateway.live.change_stream import deployment_events
from k1_gateway.live.event_models import DeploymentStreamEvent
from k1_gateway.live.sse import STREAM_END

_PLAN_TIMEOUT_S: Final = 20.0


def _control(action: str, summary: str) -> Endpoint:
    return Endpoint(
        "POST", f"/deployments/{{deployment_id}}/{action}", f"{action}Deployment", "Deployments", summary,
        relay, query=DEPLOYMENT_CONTROL,
        body_fields=("requested_by", "reason"), fixed_fields={"action": action},
        responses={200: ("The deployment as it is now", DEPLOYMENT_CONTROL.response)},
        problems={
            **BODY_PROBLEMS, **NO_DEPLOYMENT,
            409: "`deployment_state`: the state of the deployment does not allow this",
            422: "`invalid_parameter`, `invalid_body`",
        },
        rate_limit="unlimited",
    )  # fmt: skip


DEPLOYMENTS: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/bundle", "getBundle", "Deployments",
        "The signed bundle of a version, its cost, and the devices that could run it",
        relay, query=BUNDLE_GET,
        responses={200: ("The bundle", BUNDLE_GET.response)},
        problems={
            **NO_VERSION,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs; `track_deleted`",
        },
    ),
    Endpoint(
        "POST", "/deployments", "requestDeployment", "Deployments",
        "Deploy a version to devices, by id or by group, in batches that are rolled back together when one fails. "
        "`requested_by` is the name of the caller; another one is ignored",
        request_deployment, query=DEPLOYMENT_PLAN,
        document=("order", DeploymentBody), repeats="owned",
        responses={
            202: ("Accepted; the deployment can be read now", deployment_queries.DeploymentAccepted),
            200: ("With `dry_run`: the plan", DEPLOYMENT_PLAN.response),
        },
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `device_not_found`, `group_not_found`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs; "
            "`track_deleted`: restore it first; `deployment_blocked`: it would not start, `errors` names every gate that failed",
            422: "`invalid_body`, `invalid_parameter`: every fault is named; `activation_in_the_past`, "
            "`gate_not_overridable`, `group_too_large`, `idempotency_key_reused`",
        },
        timeout_s=_PLAN_TIMEOUT_S, rate_limit="deployments",
    ),
    Endpoint(
        "GET", "/deployments", "listDeployments", "Deployments", "The deployments, newest first",
        relay, query=DEPLOYMENT_LIST,
        query_params=("track_id", "device_id", "status", "limit", "offset", "cursor"),
        responses={200: ("Deployments", DEPLOYMENT_LIST.response)}, problems={**PAGED, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/deployments/{deployment_id}", "getDeployment", "Deployments",
        "A deployment: status, each device's steps with their times, log, audit trail",
        relay, query=DEPLOYMENT_GET,
        responses={200: ("The deployment", DEPLOYMENT_GET.response)}, problems=NO_DEPLOYMENT,
    ),
    Endpoint(
        "GET", "/deployments/{deployment_id}/events", "watchDeployment", "Deployments",
        "A deployment as server-sent events: `deployment` (DEPLOYMENT_GET.response) at both ends, "
        "`change` (DeploymentChange) between; the last has the id `end`",
        deployment_events, query=DEPLOYMENT_GET,
        responses={200: ("The stream; it ends with the deployment", DeploymentStreamEvent), **STREAM_END},
        problems=NO_DEPLOYMENT, media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    _control("cancel", "Cancel: staged bundles are discarded, activated devices are rolled back"),
    _control("rollback", "Roll the devices back to what they ran before, also after a success"),
    _control("pause", "Pause: no further step starts, running steps finish"),
    _control("resume", "Continue after a pause"),
)  # fmt: skip
