"""Requests that schemathesis makes from the OpenAPI document, right and wrong ones, get a documented answer and no 500.

Each operation gets a few requests, the same ones in every run; `./k1 test --long` sends many new ones.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support import songs
from tests.support.generators import OPENAPI
from tests.support.system import System

pytestmark = pytest.mark.e2e
SEED_EXAMPLES: Final = 5
LONG_EXAMPLES: Final = 200
SLOW: Final = frozenset({"pollEvents"})
"""Waits a while for the event that it is to begin after; gets a tenth of the requests in a long run."""
PATIENCE_S: Final = 60
CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT: Final = json.loads(OPENAPI.read_text("utf-8"))


def ends(operation: dict[str, Any]) -> bool:
    """Return whether the answer is complete at once: not a stream, nor a WebSocket."""
    content = operation["responses"].get("200", {}).get("content", {})
    return "101" not in operation["responses"] and "text/event-stream" not in content


def is_json(operation: dict[str, Any]) -> bool:
    """Return whether schemathesis can write the body: it knows no parts of resumable uploads."""
    return "application/offset+octet-stream" not in operation.get("requestBody", {}).get("content", {})


OPERATIONS: Final = {
    operation["operationId"]: (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if ends(operation) and is_json(operation)
}


@pytest.fixture(scope="module")
def known(system: System) -> dict[str, Any]:
    """Return the parameters of a path that lead to something: those of an analysed song."""
    accepted = system.upload_with_retry(songs.song(7301)).json()
    system.wait_for_job(accepted["job_id"])
    artefacts = system.get(f"/tracks/{accepted['track_id']}/versions/1/artefacts")["artefacts"]
    artefact_id = next(each["id"] for each in artefacts if each["type"] == "metrics")
    return {**accepted, "version": 1, "artefact_id": artefact_id, "format": "csv"}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Return a session that keeps its connection."""
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_request_has_a_documented_answer(
    system: System,
    *,
    name: str,
    mode: GenerationMode,
    known: dict[str, Any],
    session: requests.Session,
    request: pytest.FixtureRequest,
) -> None:
    """Half of the requests name things that exist."""
    is_long = request.config.getoption("--long")
    long_examples = LONG_EXAMPLES // 10 if name in SLOW else LONG_EXAMPLES
    path, method = OPERATIONS[name]
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    base_url = f"{system.url}/api/v1"

    @settings(
        max_examples=long_examples if is_long else SEED_EXAMPLES,
        derandomize=not is_long,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans())
    def send(case: schemathesis.Case, exists: bool) -> None:
        if exists:
            case.path_parameters |= {key: known[key] for key in case.path_parameters if key in known}
        if name == "pollEvents":
            case.query["timeout_s"] = 0
        response = case.call(base_url=base_url, session=session, timeout=PATIENCE_S)
        # Documented, so that clients know its form, but always a fault of ours. 503 and 504 may come at any time.
        assert response.status_code != requests.codes.internal_server_error, case.as_curl_command()
        case.validate_response(response, checks=CHECKS)

    try:
        send()
    except Unsatisfiable:
        # An operation whose only parameter is a header of any text has no wrong requests.
        assert mode is GenerationMode.NEGATIVE
