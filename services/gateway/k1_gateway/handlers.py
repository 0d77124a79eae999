"""The index of the gateway: every HTTP route, the query that it becomes, and the responses.

There is no sign-in yet: `requested_by` is what the caller writes. Credentials of devices are created and revoked only
on the command line (`k1 devices`), never over HTTP. `/livez`, `/readyz` and `/metrics` come from the platform.
"""

from typing import Final

from aiohttp import web

from k1_contracts.graph import GraphDocument
from k1_contracts.messages import deployment_queries, tracks
from k1_contracts.messages.analysis import ANALYSIS_REQUEST, JOB_CANCEL, JOB_GET, JOB_LIST, WORKER_LIST
from k1_contracts.messages.bundles import BUNDLE_GET
from k1_contracts.messages.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
)
from k1_contracts.messages.devices import DEVICE_GET, DEVICE_LIST
from k1_contracts.messages.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SIMULATE,
    KEY_LIST,
    NODE_LIST,
    PRESET_LIST,
)
from k1_contracts.messages.tracks import ARTEFACT_LIST, GENESIS_GET, TRACK_GET, TRACK_LIST, VERSION_GET
from k1_contracts.upload_form import UploadForm
from k1_gateway.about.documents import Document, get_asyncapi, get_docs_page, get_openapi, redirect_to_docs
from k1_gateway.about.health import Health, get_health
from k1_gateway.deployments.request import DeploymentBody, request_deployment
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    INVALID,
    NO_DEPLOYMENT,
    NO_DEVICE,
    NO_JOB,
    NO_MAP,
    NO_TRACK,
    NO_VERSION,
    UNAVAILABLE,
    UPLOAD_PROBLEMS,
)
from k1_gateway.http.relay import relay
from k1_gateway.http.routing import make_api_routes
from k1_gateway.live.change_stream import deployment_events, job_events
from k1_gateway.live.event_models import DeploymentStreamEvent, JobStreamEvent, TelemetryStreamEvent
from k1_gateway.live.sse import STREAM_END
from k1_gateway.live.telemetry_stream import WatchTelemetry, stream_telemetry
from k1_gateway.tracks.genesis import get_genesis
from k1_gateway.tracks.graph import get_graph, put_graph
from k1_gateway.tracks.upload import upload_track

_PLAN_TIMEOUT_S: Final = 20.0
_SIMULATE_TIMEOUT_S: Final = 65.0


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
        takes_idempotency_key=True,
    )  # fmt: skip


ENDPOINTS: Final = (
    Endpoint(
        "POST", "/tracks/upload", "uploadTrack", "Tracks",
        "Upload a song: MP3, MP2, WAV, AIFF, FLAC, OGG or M4A up to 50 MB; the same bytes again are the same track",
        upload_track,
        responses={
            202: ("Accepted; its analysis is queued", tracks.UploadAccepted),
            200: ("These bytes are a track already", tracks.UploadAccepted),
        },
        problems=UPLOAD_PROBLEMS, form=UploadForm, takes_idempotency_key=True, rate_limit="uploads",
    ),
    Endpoint(
        "GET", "/tracks", "listTracks", "Tracks", "List and search tracks",
        relay, query=TRACK_LIST,
        query_params=("status", "preset", "search", "sort", "limit", "offset", "cursor"),
        responses={200: ("A page of tracks", TRACK_LIST.response)},
        problems={422: "`invalid_parameter`, `invalid_cursor`", **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}", "getTrack", "Tracks", "A track with its versions",
        relay, query=TRACK_GET,
        responses={200: ("The track", TRACK_GET.response)}, problems=NO_TRACK, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}", "getVersion", "Tracks",
        "A version: metadata, metrics, artefacts",
        relay, query=VERSION_GET,
        responses={200: ("The version", VERSION_GET.response)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/genesis", "getGenesis", "Tracks",
        "The Genesis map, or a slice of it downsampled for a chart",
        get_genesis, query=GENESIS_GET,
        query_params=("layers", "from_ms", "to_ms", "max_points"),
        responses={200: ("The map, version 4; a slice lacks the layers that were not asked for", GENESIS_GET.response)},
        problems={
            409: "`genesis_pending`: the analysis still runs",
            413: "`slice_too_large`: ask for less",
            **UNAVAILABLE,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            422: "`invalid_parameter`: every fault is named; `invalid_request`: from_ms is not before to_ms",
        },
        cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/artefacts", "listArtefacts", "Artefacts",
        "Every artefact of a version: signed URLs, small JSON inline, missing ones named",
        relay, query=ARTEFACT_LIST,
        responses={200: ("The artefacts", ARTEFACT_LIST.response)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/graph", "getGraph", "Graphs",
        "The graph of a version: recommended, with its reasons in `meta`, or edited",
        get_graph, query=GRAPH_GET,
        responses={200: ("The graph", GraphDocument)},
        problems={
            409: "`genesis_pending`: the analysis still runs",
            **NO_VERSION,
            404: "`track_not_found`, `version_not_found`, `genesis_missing` or `graph_missing`",
        },
        cacheable=True,
    ),
    Endpoint(
        "PUT", "/tracks/{track_id}/versions/{version}/graph", "putGraph", "Graphs",
        "Edit the graph. Results that need a run are missing until the graph is simulated again",
        put_graph, query=GRAPH_PUT,
        document=("graph", GraphDocument), takes_if_match=True,
        responses={200: ("The edit was stored; its effects", GRAPH_PUT.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            412: "`graph_changed`: it was edited since; read it again",
            422: "`graph_invalid`: `violations` names every broken rule; `invalid_parameter`, `invalid_body`",
        },
        rate_limit="edits",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/versions/{version}/simulate", "simulateGraph", "Graphs",
        "Run the graph over the whole song; a `graph` in the body is tried without being saved",
        relay, query=GRAPH_SIMULATE, body_fields=("graph",),
        responses={200: ("The cost and the output of the graph", GRAPH_SIMULATE.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `graph_missing`, `artefact_missing`",
            409: "`genesis_pending`; `graph_changed`: it was edited meanwhile, simulate again; `artefact_differs`: "
            "the map is not the one that was analysed, analyse again",
            422: "`graph_invalid`, `simulation_failed`, `bundle_failed`, `invalid_parameter`, `invalid_body`",
            503: "`service_unavailable`, `simulation_failed`: try again",
        },
        timeout_s=_SIMULATE_TIMEOUT_S, rate_limit="simulations",
    ),
    Endpoint(
        "GET", "/presets", "listPresets", "Graphs", "The presets with the templates of their graphs",
        relay, query=PRESET_LIST,
        responses={200: ("Presets", PRESET_LIST.response)}, problems={**INVALID, **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "GET", "/graph/nodes", "listNodes", "Graphs", "Every node type: ports, parameters, cost and state",
        relay, query=NODE_LIST,
        responses={200: ("The node catalogue", NODE_LIST.response)},
        problems={**INVALID, **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "GET", "/keys", "listKeys", "Graphs", "The public keys of bundles as a JWK set, the newest first",
        relay, query=KEY_LIST,
        responses={200: ("Keys", KEY_LIST.response)}, problems={**INVALID, **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/analysis", "requestAnalysis", "Analysis", "Analyse a track again",
        relay, query=ANALYSIS_REQUEST,
        body_fields=("preset", "priority"), takes_idempotency_key=True,
        responses={202: ("Queued", ANALYSIS_REQUEST.response)},
        problems={
            **BODY_PROBLEMS, **NO_TRACK, 422: "`invalid_parameter`, `invalid_body`, `idempotency_key_reused`",
        },
        rate_limit="analyses",
    ),
    Endpoint(
        "GET", "/analysis/jobs", "listJobs", "Analysis", "The newest jobs",
        relay, query=JOB_LIST, query_params=("status", "limit"),
        responses={200: ("Jobs", JOB_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}", "getJob", "Analysis", "A job: status, stage, percent",
        relay, query=JOB_GET,
        responses={200: ("The job", JOB_GET.response)}, problems=NO_JOB,
    ),
    Endpoint(
        "DELETE", "/analysis/jobs/{job_id}", "cancelJob", "Analysis", "Cancel a job, waiting or running",
        relay, query=JOB_CANCEL,
        responses={200: ("The job as it is now", JOB_CANCEL.response)},
        problems={409: "`job_ended`: it is too late", **NO_JOB}, takes_idempotency_key=True,
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}/events", "watchJob", "Analysis",
        "A job's progress as server-sent events: `job` (JOB_GET.response) at both ends, `progress` (JobProgress) between; "
        "the last has the id `end`",
        job_events, query=JOB_GET,
        responses={200: ("The stream; it ends with the job", JobStreamEvent), **STREAM_END}, problems=NO_JOB,
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    Endpoint(
        "GET", "/analysis/workers", "listWorkers", "Analysis", "The analysis workers and the queue",
        relay, query=WORKER_LIST,
        responses={200: ("Workers", WORKER_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/devices", "listDevices", "Devices", "The devices, with their presence and what they run",
        relay, query=DEVICE_LIST,
        query_params=("group", "include_revoked", "limit", "offset"),
        responses={200: ("Devices", DEVICE_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/devices/{device_id}", "getDevice", "Devices",
        "A device: firmware, node types, free flash, presence, reported and desired state",
        relay, query=DEVICE_GET,
        responses={200: ("The device", DEVICE_GET.response)},
        problems=NO_DEVICE,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/bundle", "getBundle", "Deployments",
        "The signed bundle of a version, its cost, and the devices that could run it",
        relay, query=BUNDLE_GET,
        responses={200: ("The bundle", BUNDLE_GET.response)},
        problems={
            **NO_VERSION,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs",
        },
    ),
    Endpoint(
        "POST", "/deployments", "requestDeployment", "Deployments",
        "Deploy a version to devices, by id or by group, in batches that are rolled back together when one fails. "
        "`requested_by` is not checked: there is no sign-in",
        request_deployment, query=DEPLOYMENT_PLAN,
        document=("order", DeploymentBody), takes_idempotency_key=True,
        responses={
            202: ("Accepted; the deployment can be read now", deployment_queries.DeploymentAccepted),
            200: ("With `dry_run`: the plan", DEPLOYMENT_PLAN.response),
        },
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `device_not_found`, `group_not_found`",
            409: "`bundle_missing`: simulate the graph first; `genesis_pending`: the analysis still runs; "
            "`deployment_blocked`: it would not start, `errors` names every gate that failed",
            422: "`invalid_body`, `invalid_parameter`: every fault is named; `activation_in_the_past`, "
            "`gate_not_overridable`, `group_too_large`, `idempotency_key_reused`",
        },
        timeout_s=_PLAN_TIMEOUT_S, rate_limit="deployments",
    ),
    Endpoint(
        "GET", "/deployments", "listDeployments", "Deployments", "The deployments, newest first",
        relay, query=DEPLOYMENT_LIST,
        query_params=("track_id", "device_id", "status", "limit", "offset"),
        responses={200: ("Deployments", DEPLOYMENT_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
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
    Endpoint(
        "GET", "/tracks/{track_id}/telemetry/stream", "streamTelemetry", "Live",
        "Readings and events of the devices that play a track as server-sent events: readings as `message`, "
        "events under their name; `id` and `Last-Event-ID` replay what was missed in the last ten minutes",
        stream_telemetry, query=TRACK_GET, parameter_model=WatchTelemetry, query_params=("last_event_id",),
        responses={200: ("The stream; it does not end", TelemetryStreamEvent)}, problems=NO_TRACK,
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    Endpoint(
        "GET", "/health", "getHealth", "About", "Every service's readiness",
        get_health, responses={200: ("The readiness of each service", Health)}, problems={},
    ),
    Endpoint(
        "GET", "/openapi.json", "getOpenApi", "About", "This API as an OpenAPI 3.1 document",
        get_openapi, responses={200: ("The document", Document)}, problems={}, cacheable=True,
    ),
    Endpoint(
        "GET", "/asyncapi.json", "getAsyncApi", "About", "The messages of the bus as an AsyncAPI 3 document",
        get_asyncapi, responses={200: ("The document", Document)}, problems={}, cacheable=True,
    ),
)  # fmt: skip


def make_routes(context: GatewayContext) -> list[web.RouteDef]:
    """Return every route that the gateway serves: the API, the page that describes it, and the way to the page."""
    return [
        *make_api_routes(context, ENDPOINTS),
        web.get("/docs", get_docs_page),
        web.get("/", redirect_to_docs),
    ]
