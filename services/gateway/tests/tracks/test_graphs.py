"""Graphs through the gateway: the document is the body, its revision the entity tag."""

import json
from typing import Any

import httpx
import pytest

from k1_contracts.graph import Violation
from k1_contracts.messages.catalogue.graph_edits import (
    GRAPH_SAVE_VERSION,
    GRAPH_VALIDATE,
    GraphValidated,
    GraphVersionSaved,
    SaveGraphVersion,
    ValidateGraph,
)
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SIMULATE,
    KEY_LIST,
    NODE_LIST,
    PRESET_LIST,
    GetGraph,
    KeySet,
    NodeCatalogue,
    PresetList,
    PutGraph,
    Simulate,
)
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import ORIGIN, Owners
from services.gateway.tests.schemas import assert_matches

API = "/api/v1"
URL = f"{API}/tracks/{samples.TRACK}/versions/2"


async def test_a_graph_is_read_as_it_can_be_put_again(http: httpx.AsyncClient, owners: Owners) -> None:
    """The body is the bare document with a strong tag; a client that holds the tag gets 304."""
    view = samples.graph()
    owners.respond_with(GRAPH_GET.subject, view)
    response = await http.get(f"{URL}/graph")
    assert (response.status_code, response.json()) == (200, view.graph)
    assert response.headers["ETag"] == f'"{view.etag}"'
    assert_matches(response.json(), "GraphDocument")
    again = await http.get(f"{URL}/graph", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert owners.received[0] == GetGraph(track_id=samples.TRACK, version=2)
    assert (await http.get(f"{URL}/graph?source=recommended")).status_code == 200
    assert owners.received[-1] == GetGraph(track_id=samples.TRACK, version=2, source="recommended")
    assert (await http.get(f"{URL}/graph?source=mine")).status_code == 422


@pytest.mark.parametrize(
    ("header", "wanted"),
    [(None, None), ('"abc"', ["abc"]), ('"a", "b"', ["a", "b"]), ("*", ["*"]), ('W/"abc"', [])],
)
async def test_an_edit_reaches_its_owner(
    http: httpx.AsyncClient, owners: Owners, header: str | None, wanted: list[str] | None
) -> None:
    """The whole body is the graph, If-Match lists the accepted tags; weak tags match nothing."""
    owners.respond_with(GRAPH_PUT.subject, samples.saved())
    graph = samples.graph().graph
    headers = {"If-Match": header} if header else {}
    response = await http.put(f"{URL}/graph", json=graph, headers=headers)
    assert (response.status_code, response.headers["ETag"]) == (200, f'"{samples.saved().etag}"')
    assert_matches(response.json(), "GraphSaved")
    assert response.json()["impact"]["changedNodes"]
    assert owners.received == [PutGraph(track_id=samples.TRACK, version=2, graph=graph, if_match=wanted)]


async def test_a_rejected_graph_names_every_violation(http: httpx.AsyncClient, owners: Owners) -> None:
    """The problem has rule, node, message and fix of each violation."""
    violations = [
        Violation(rule="unknown_type", severity="error", node="beat", message="no Nope", fix="Use Time."),
        Violation(rule="graph_name", severity="error", message="name is 7", fix="Use snake_case."),
    ]
    owners.respond_with(
        GRAPH_PUT.subject,
        QueryError("graph_invalid", "The graph breaks 2 rules.", 422, violations=violations),
    )
    response = await http.put(f"{URL}/graph", json={"nodes": 7})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    problem = response.json()
    assert (problem["code"], problem["detail"]) == ("graph_invalid", "The graph breaks 2 rules.")
    assert [Violation.model_validate(violation) for violation in problem["violations"]] == violations
    assert_matches(problem, "Problem")


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "7", "{}", ""])
async def test_any_json_is_left_to_the_validator(http: httpx.AsyncClient, owners: Owners, body: str) -> None:
    """Only the validator judges graphs; an absent body is null."""
    owners.respond_with(GRAPH_PUT.subject, QueryError("graph_invalid", "The graph is none.", 422))
    headers = {"Content-Type": "application/json"}
    response = await http.put(f"{URL}/graph", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "graph_invalid")
    assert owners.received[0].graph == (json.loads(body) if body else None)


@pytest.mark.parametrize(
    ("body", "media", "refusal"),
    [
        (b"{", "application/json", (400, "malformed_json")),
        (b'{"nodes": NaN}', "application/json", (400, "malformed_json")),
        (b"[" * 200_000, "application/json", (400, "malformed_json")),
        (b"name: x", "text/yaml", (415, "unsupported_media_type")),
        (b" " * 1_100_000, "application/json", (413, "body_too_large")),
    ],
)
async def test_a_body_that_is_no_json_is_rejected_by_the_gateway(
    http: httpx.AsyncClient, owners: Owners, body: bytes, media: str, refusal: tuple[int, str]
) -> None:
    """No query is sent."""
    response = await http.put(f"{URL}/graph", content=body, headers={"Content-Type": media})
    assert (response.status_code, response.json()["code"]) == refusal
    assert owners.received == []


async def test_a_graph_is_saved_as_a_new_version(http: httpx.AsyncClient, owners: Owners) -> None:
    """The whole body is the graph; condition and key go to the owner, and the tag is that of the new graph."""
    golden = (samples.GOLDEN / "GraphVersionSaved" / "v1.json").read_text()
    made = GraphVersionSaved.model_validate_json(golden)
    owners.respond_with(GRAPH_SAVE_VERSION.subject, made)
    graph = samples.graph().graph
    headers = {"If-Match": '"a"', "Idempotency-Key": "one"}
    response = await http.post(f"{URL}/graph", json=graph, headers=headers)
    assert (response.status_code, response.headers["ETag"]) == (201, f'"{made.etag}"')
    assert_matches(response.json(), "GraphVersionSaved")
    assert owners.received == [
        SaveGraphVersion(
            track_id=samples.TRACK, version=2, graph=graph, if_match=["a"], idempotency_key="one"
        )
    ]


@pytest.mark.parametrize("graph", [samples.graph().graph, None, 7])
async def test_any_json_is_validated(http: httpx.AsyncClient, owners: Owners, graph: Any) -> None:
    """A broken graph is no problem of the request: the answer names what is wrong with it."""
    golden = (samples.GOLDEN / "GraphValidated" / "v1.json").read_text()
    owners.respond_with(GRAPH_VALIDATE.subject, GraphValidated.model_validate_json(golden))
    response = await http.post(f"{URL}/graph/validate", json={"graph": graph})
    assert response.status_code == 200
    assert_matches(response.json(), "GraphValidated")
    assert owners.received == [ValidateGraph(track_id=samples.TRACK, version=2, graph=graph)]


async def test_a_simulation_is_requested(http: httpx.AsyncClient, owners: Owners) -> None:
    """It runs the graph of the version, or a graph in the body."""
    owners.respond_with(GRAPH_SIMULATE.subject, samples.simulated())
    response = await http.post(f"{URL}/simulate")
    assert response.status_code == 200
    assert {"before_ms", "after_ms", "cpu_pct_before", "cpu_pct_after"} <= set(response.json())
    assert_matches(response.json(), "Simulated")
    graph = samples.graph().graph
    assert (await http.post(f"{URL}/simulate", json={"graph": graph})).status_code == 200
    assert owners.received == [
        Simulate(track_id=samples.TRACK, version=2),
        Simulate(track_id=samples.TRACK, version=2, graph=graph),
    ]
    wrong = await http.post(f"{URL}/simulate", json={"grpah": {}})
    assert (wrong.status_code, wrong.json()["errors"][0]["name"]) == (422, "grpah")


@pytest.mark.parametrize(
    ("path", "subject", "model"),
    [
        ("/presets", PRESET_LIST.subject, PresetList),
        ("/graph/nodes", NODE_LIST.subject, NodeCatalogue),
        ("/keys", KEY_LIST.subject, KeySet),
    ],
)
async def test_reference_data_is_passed_on(
    http: httpx.AsyncClient, owners: Owners, path: str, subject: str, model: type
) -> None:
    """It matches the schema, and a client that holds it gets 304."""
    golden = (samples.GOLDEN / model.__name__ / "v1.json").read_text()
    owners.respond_with(subject, model.model_validate_json(golden))
    response = await http.get(f"{API}{path}")
    assert response.status_code == 200
    assert_matches(response.json(), model.__name__)
    tag = {"If-None-Match": response.headers["ETag"]}
    assert (await http.get(f"{API}{path}", headers=tag)).status_code == 304


async def test_a_page_of_a_listed_origin_may_put(http: httpx.AsyncClient) -> None:
    """The preflight allows the method and If-Match."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    allowed = await http.options(f"{URL}/graph", headers=asked)
    assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in allowed.headers["Access-Control-Allow-Headers"]
