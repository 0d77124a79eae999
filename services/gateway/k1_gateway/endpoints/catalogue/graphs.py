"""Lists the endpoints of graphs, presets, node types and signing keys."""

from typing import Final

from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.graph_edits import GRAPH_SAVE_VERSION, GRAPH_VALIDATE
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SIMULATE,
    KEY_LIST,
    NODE_LIST,
    PRESET_LIST,
)
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    INVALID,
    NO_MAP,
    NO_VERSION,
    UNAVAILABLE,
)
from k1_gateway.http.relay import relay
from k1_gateway.tracks.graph import get_graph, put_graph, save_graph_version

_SIMULATE_TIMEOUT_S: Final = 65.0

GRAPHS: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/graph", "getGraph", "Graphs",
        "The graph of a version: recommended, with its reasons in `meta`, or edited",
        get_graph, query=GRAPH_GET, query_params=("source",),
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
            409: "`genesis_pending`: the analysis still runs; `track_deleted`: restore it first; `track_uploading`",
            412: "`graph_changed`: it was edited since; read it again",
            422: "`graph_invalid`: `violations` names every broken rule; `invalid_parameter`, `invalid_body`",
        },
        rate_limit="edits",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/versions/{version}/graph", "saveGraphVersion", "Graphs",
        "Save a graph as a new version: the same map and beats, a new show and bundle, ready when this answers",
        save_graph_version, query=GRAPH_SAVE_VERSION,
        document=("graph", GraphDocument), takes_if_match=True, repeats="owned",
        responses={201: ("The new version", GRAPH_SAVE_VERSION.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            404: "`track_not_found`, `version_not_found`, `genesis_missing` or `artefact_missing`",
            409: "`genesis_pending`: the analysis still runs; `track_deleted`: restore it first; `track_uploading`; "
            "`artefact_differs`: the map is not the one that was analysed, analyse again",
            412: "`graph_changed`: it was edited since; read it again",
            422: "`graph_invalid`: `violations` names every broken rule; `simulation_failed`, `bundle_failed`, "
            "`invalid_parameter`, `invalid_body`, `idempotency_key_reused`",
            503: "`service_unavailable`, `simulation_failed`: try again; nothing was changed",
        },
        timeout_s=_SIMULATE_TIMEOUT_S, rate_limit="simulations",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/versions/{version}/graph/validate", "validateGraph", "Graphs",
        "Check a graph without saving it: every broken rule with what mends it, the estimate by node, the impact",
        relay, query=GRAPH_VALIDATE, body_fields=("graph",), repeats="same",
        responses={200: ("What is wrong with the graph, or what an edit with it would mean", GRAPH_VALIDATE.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            409: "`genesis_pending`: the analysis still runs",
            422: "`invalid_parameter`, `invalid_body`",
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
            409: "`genesis_pending`; `graph_changed`: it was edited meanwhile, simulate again; `track_deleted`; `track_uploading`; `artefact_differs`: "
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
)  # fmt: skip
