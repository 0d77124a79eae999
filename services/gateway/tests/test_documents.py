"""The documents that describe the API are true."""

import json
import re
from pathlib import Path

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from k1_contracts import queries, subjects
from k1_contracts.registry import MESSAGES
from k1_gateway.endpoints import BASE_PATH
from k1_gateway.openapi import make_document
from k1_gateway.routes import ENDPOINTS, make_routes
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
DOCUMENT = make_document(ENDPOINTS)


def test_the_committed_document_is_current() -> None:
    """After a change of the API: `python -m k1_gateway.openapi docs/openapi.json`."""
    assert json.loads(COMMITTED.read_text()) == DOCUMENT


def test_the_document_is_valid() -> None:
    """Against the schema of OpenAPI 3.1."""
    validate(DOCUMENT)


def test_documented_and_served_are_the_same() -> None:
    """No path without its documentation, none documented that is not served; the page stands beside them."""
    served = {(route.method, route.path) for route in make_routes(api=None)}
    documented = {
        (method.upper(), BASE_PATH + path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert served - documented == {("GET", "/docs"), ("GET", "/")}
    assert documented - served == set()


def test_every_parameter_of_a_path_is_described() -> None:
    """With the pattern of the id."""
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            described = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/tracks", "TrackPage"),
        (f"/analysis/jobs/{samples.JOB}", "JobView"),
        ("/health", "Health"),
        ("/nothing", "Problem"),
    ],
)
async def test_answers_are_as_documented(
    http: httpx.AsyncClient, owners: Owners, path: str, schema: str
) -> None:
    """What is served satisfies the schema that is published."""
    owners.says(subjects.RPC_TRACK_LIST, samples.page(2))
    owners.says(subjects.RPC_JOB_GET, samples.job())
    body = (await http.get(BASE_PATH + path)).json()
    jsonschema.validate(body, {"$ref": f"#/components/schemas/{schema}", **DOCUMENT})


async def test_the_documents_are_served(http: httpx.AsyncClient) -> None:
    """OpenAPI as generated, AsyncAPI as the contracts' package has it."""
    assert (await http.get(f"{BASE_PATH}/openapi.json")).json() == DOCUMENT
    asyncapi = (await http.get(f"{BASE_PATH}/asyncapi.json")).json()
    assert asyncapi["asyncapi"].startswith("3.")


async def test_the_page_needs_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    """No address of another host in it, and a policy that lets only its own script run."""
    answer = await http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", answer.text)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]


def test_every_question_of_the_path_has_an_endpoint() -> None:
    """The gateway offers everything that its owners answer."""
    asked = {endpoint.subject for endpoint in ENDPOINTS if endpoint.subject}
    offered = {m.subject for m in MESSAGES if m.kind == "question" and "gateway" in m.senders}
    assert asked == offered | {subjects.RPC_GENESIS_GET}
    assert queries.ListTracks in {endpoint.question for endpoint in ENDPOINTS}
