"""The index of the API: every call, whom it asks and what comes back."""

from typing import Final

from aiohttp import web

from k1_contracts import subjects
from k1_contracts.genesis import GenesisView
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.analysis import (
    AnalysisAccepted,
    GetJob,
    JobPage,
    JobView,
    ListJobs,
    ListWorkers,
    RequestTrackAnalysis,
    WorkerList,
)
from k1_contracts.messages.graphs import (
    GetGraph,
    GraphSaved,
    KeySet,
    ListKeys,
    ListNodes,
    ListPresets,
    NodeCatalogue,
    PresetList,
    PutGraph,
    Simulate,
    Simulated,
)
from k1_contracts.messages.tracks import (
    ArtefactList,
    GetGenesis,
    GetTrack,
    GetVersion,
    ListTracks,
    TrackDetail,
    TrackPage,
    UploadAccepted,
    VersionDetail,
)
from k1_gateway import documents
from k1_gateway.api import Api
from k1_gateway.deployment_routes import DEPLOYMENT_ENDPOINTS
from k1_gateway.endpoints import AWAY, BASE_PATH, BODY_PROBLEMS, INVALID, NO_VERSION, STREAM_END, Endpoint
from k1_gateway.graphs import get_graph, put_graph
from k1_gateway.live import job_events
from k1_gateway.overview import Health, health
from k1_gateway.relaying import genesis, relay
from k1_gateway.stream_events import JobStreamEvent, TelemetryStreamEvent
from k1_gateway.telemetry_stream import WatchTelemetry, stream_telemetry
from k1_gateway.uploading import UploadForm, upload

_NO_TRACK: Final = {404: "`track_not_found`", **INVALID, **AWAY}
_NO_JOB: Final = {404: "`job_not_found`", **INVALID, **AWAY}
_NO_MAP: Final = {
    404: "`track_not_found`, `version_not_found` or `genesis_missing`",
    409: "`genesis_pending`: the analysis still runs",
    **AWAY,
}
_SIMULATE_TIMEOUT_S: Final = 65.0
_UPLOAD_PROBLEMS: Final = {
    400: "`malformed_upload`, `upload_interrupted`",
    408: "`upload_timeout`",
    413: "`too_large`: over 50 MB",
    415: "`unsupported_format`: says what the file is; `unsupported_media_type`: the encoding of the body",
    422: "`invalid_form`, `empty_file`, `too_short`, `too_long`, `decode_failed`, "
    "`invalid_parameter`, `idempotency_key_reused`",
    502: "`bad_gateway`",
    503: "`busy`, `dependency_unavailable`, `service_unavailable`: nothing was accepted, send it again",
}

ENDPOINTS: Final = (
    Endpoint(
        "POST", "/tracks/upload", "uploadTrack", "Tracks",
        "Upload a song: MP3, MP2, WAV, AIFF, FLAC, OGG or M4A up to 50 MB; the same bytes again are the same track",
        upload,
        answers={
            202: ("Accepted; its analysis is queued", UploadAccepted),
            200: ("These bytes are a track already", UploadAccepted),
        },
        problems=_UPLOAD_PROBLEMS, form=UploadForm, takes_key=True, limit="uploads",
    ),
    Endpoint(
        "GET", "/tracks", "listTracks", "Tracks", "List and search tracks",
        relay, subject=subjects.RPC_TRACK_LIST, question=ListTracks,
        query=("status", "preset", "search", "sort", "limit", "offset", "cursor"),
        answers={200: ("A page of tracks", TrackPage)},
        problems={422: "`invalid_parameter`, `invalid_cursor`", **AWAY}, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}", "getTrack", "Tracks", "A track with its versions",
        relay, subject=subjects.RPC_TRACK_GET, question=GetTrack,
        answers={200: ("The track", TrackDetail)}, problems=_NO_TRACK, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}", "getVersion", "Tracks",
        "A version: metadata, metrics, artefacts",
        relay, subject=subjects.RPC_VERSION_GET, question=GetVersion,
        answers={200: ("The version", VersionDetail)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/genesis", "getGenesis", "Tracks",
        "The Genesis map, or a slice of it downsampled for a chart",
        genesis, subject=subjects.RPC_GENESIS_GET, question=GetGenesis,
        query=("layers", "from_ms", "to_ms", "max_points"),
        answers={200: ("The map, version 4; a slice lacks the layers that were not asked for", GenesisView)},
        problems={
            409: "`genesis_pending`: the analysis still runs",
            413: "`slice_too_large`: ask for less",
            **AWAY,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            422: "`invalid_parameter`: every fault is named; `invalid_request`: from_ms is not before to_ms",
        },
        cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/artefacts", "listArtefacts", "Artefacts",
        "Every artefact of a version: signed URLs, small JSON inline, missing ones named",
        relay, subject=subjects.RPC_ARTEFACT_LIST, question=GetVersion,
        answers={200: ("The artefacts", ArtefactList)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/graph", "getGraph", "Graphs",
        "The graph of a version: recommended, with its reasons in `meta`, or edited",
        get_graph, subject=subjects.RPC_GRAPH_GET, question=GetGraph,
        answers={200: ("The graph", GraphDocument)},
        problems={
            409: "`genesis_pending`: the analysis still runs",
            **NO_VERSION,
            404: "`track_not_found`, `version_not_found`, `genesis_missing` or `graph_missing`",
        },
        cacheable=True,
    ),
    Endpoint(
        "PUT", "/tracks/{track_id}/versions/{version}/graph", "putGraph", "Graphs",
        "Edit the graph. What only a run can tell is missing from then on until the graph is simulated",
        put_graph, subject=subjects.RPC_GRAPH_PUT, question=PutGraph,
        document=("graph", GraphDocument), takes_match=True,
        answers={200: ("Kept, and what it means", GraphSaved)},
        problems={
            **BODY_PROBLEMS, **_NO_MAP,
            412: "`graph_changed`: somebody edited it since; read it again",
            422: "`graph_invalid`: `violations` names every broken rule; `invalid_parameter`, `invalid_body`",
        },
        limit="edits",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/versions/{version}/simulate", "simulateGraph", "Graphs",
        "Run the graph over the whole song; `graph` is one to try without saving it",
        relay, subject=subjects.RPC_GRAPH_SIMULATE, question=Simulate, body=("graph",),
        answers={200: ("What it costs and shows", Simulated)},
        problems={
            **BODY_PROBLEMS, **_NO_MAP,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `graph_missing`, `artefact_missing`",
            409: "`genesis_pending`; `graph_changed`: edited meanwhile, simulate again; `artefact_differs`: "
            "the map is not the one that was analysed, analyse again",
            422: "`graph_invalid`, `simulation_failed`, `bundle_failed`, `invalid_parameter`, `invalid_body`",
            503: "`service_unavailable`, `simulation_failed`: try again",
        },
        timeout_s=_SIMULATE_TIMEOUT_S, limit="simulations",
    ),
    Endpoint(
        "GET", "/presets", "listPresets", "Graphs", "The presets with the templates of their graphs",
        relay, subject=subjects.RPC_PRESET_LIST, question=ListPresets,
        answers={200: ("Presets", PresetList)}, problems={**INVALID, **AWAY}, cacheable=True,
    ),
    Endpoint(
        "GET", "/graph/nodes", "listNodes", "Graphs", "Every node type: ports, parameters, cost and state",
        relay, subject=subjects.RPC_NODE_LIST, question=ListNodes,
        answers={200: ("The node catalogue", NodeCatalogue)},
        problems={**INVALID, **AWAY}, cacheable=True,
    ),
    Endpoint(
        "GET", "/keys", "listKeys", "Graphs", "The public keys of bundles as a JWK set, the newest first",
        relay, subject=subjects.RPC_KEY_LIST, question=ListKeys,
        answers={200: ("Keys", KeySet)}, problems={**INVALID, **AWAY}, cacheable=True,
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/analysis", "requestAnalysis", "Analysis", "Analyse a track again",
        relay, subject=subjects.RPC_ANALYSIS_REQUEST, question=RequestTrackAnalysis,
        body=("preset", "priority"), takes_key=True,
        answers={202: ("Queued", AnalysisAccepted)},
        problems={
            **BODY_PROBLEMS, **_NO_TRACK, 422: "`invalid_parameter`, `invalid_body`, `idempotency_key_reused`",
        },
        limit="analyses",
    ),
    Endpoint(
        "GET", "/analysis/jobs", "listJobs", "Analysis", "The newest jobs",
        relay, subject=subjects.RPC_JOB_LIST, question=ListJobs, query=("status", "limit"),
        answers={200: ("Jobs", JobPage)}, problems={**INVALID, **AWAY},
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}", "getJob", "Analysis", "A job: status, stage, percent",
        relay, subject=subjects.RPC_JOB_GET, question=GetJob,
        answers={200: ("The job", JobView)}, problems=_NO_JOB,
    ),
    Endpoint(
        "DELETE", "/analysis/jobs/{job_id}", "cancelJob", "Analysis", "Cancel a job, waiting or running",
        relay, subject=subjects.RPC_JOB_CANCEL, question=GetJob,
        answers={200: ("The job as it is now", JobView)},
        problems={409: "`job_ended`: it is too late", **_NO_JOB}, takes_key=True,
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}/events", "watchJob", "Analysis",
        "A job's progress as server-sent events: `job` (JobView) at both ends, `progress` (JobProgress) between; "
        "the last has the id `end`",
        job_events, subject=subjects.RPC_JOB_GET, question=GetJob,
        answers={200: ("The stream; it ends with the job", JobStreamEvent), **STREAM_END}, problems=_NO_JOB,
        media_type="text/event-stream", takes_last_id=True, limit="streams",
    ),
    Endpoint(
        "GET", "/analysis/workers", "listWorkers", "Analysis", "The analysis workers and the queue",
        relay, subject=subjects.RPC_WORKER_LIST, question=ListWorkers,
        answers={200: ("Workers", WorkerList)}, problems={**INVALID, **AWAY},
    ),
    *DEPLOYMENT_ENDPOINTS,
    Endpoint(
        "GET", "/tracks/{track_id}/telemetry/stream", "streamTelemetry", "Live",
        "Readings and events of the devices that play a track as server-sent events: readings as `message`, "
        "events under their name; `id` and `Last-Event-ID` replay what was missed in the last ten minutes",
        stream_telemetry, subject=subjects.RPC_TRACK_GET, question=WatchTelemetry, query=("last_event_id",),
        answers={200: ("The stream; it does not end", TelemetryStreamEvent)}, problems=_NO_TRACK,
        media_type="text/event-stream", takes_last_id=True, limit="streams",
    ),
    Endpoint(
        "GET", "/health", "getHealth", "About", "Every service's readiness",
        health, answers={200: ("What each service says", Health)}, problems={},
    ),
    Endpoint(
        "GET", "/openapi.json", "getOpenApi", "About", "This API as an OpenAPI 3.1 document",
        documents.openapi, answers={200: ("The document", documents.Document)}, problems={}, cacheable=True,
    ),
    Endpoint(
        "GET", "/asyncapi.json", "getAsyncApi", "About", "The messages of the bus as an AsyncAPI 3 document",
        documents.asyncapi, answers={200: ("The document", documents.Document)}, problems={}, cacheable=True,
    ),
)  # fmt: skip


def _refusal(path: str) -> web.RouteDef:
    """Return the answer to the other methods of a literal path, which no path with a field may take for its value."""
    methods = {endpoint.method for endpoint in ENDPOINTS if endpoint.path == path}
    allowed = methods | ({"HEAD"} if "GET" in methods else set[str]())

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return web.route("*", BASE_PATH + path, refuse)


def make_routes(api: Api) -> list[web.RouteDef]:
    """The table as aiohttp's routes, and the readable page."""

    def route(endpoint: Endpoint) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            if endpoint.limit is None:
                return await endpoint.respond(api, request, endpoint)
            async with api.limits.admit(endpoint.limit, request.remote) as headers:
                response = await endpoint.respond(api, request, endpoint)
            if not response.prepared:
                response.headers.update(headers)
            return response

        return web.route(endpoint.method, BASE_PATH + endpoint.path, handle)

    literal = dict.fromkeys(endpoint.path for endpoint in ENDPOINTS if endpoint.is_literal)
    return [
        *map(route, ENDPOINTS),
        *map(_refusal, literal),
        web.get("/docs", documents.page),
        web.get("/", documents.home),
    ]
