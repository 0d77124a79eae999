"""Requests that schemathesis makes from the OpenAPI document, right and wrong ones, get a documented answer and no 5xx.

Each request is sent by nobody, who gets 401 from whatever needs sign-in; by every role below that of the endpoint, who
gets 403; and by someone who may. Each operation gets a few requests, the same ones in every run; `./k1 test --long`
sends many new ones, each by everyone who may.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
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

from k1_contracts.actors import ROLES, Role
from k1_gateway.handlers import ENDPOINTS
from tests.support import songs
from tests.support.documents.generators import OPENAPI
from tests.support.signed_in import PATIENCE_S, SignedIn
from tests.support.system import RETRYABLE, System
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e
SEED_EXAMPLES: Final = 1
LONG_EXAMPLES: Final = 30
SLOW: Final = frozenset(
    {"pollEvents", "logIn", "simulateGraph", "uploadTrack", "cleanUpStorage", "getStorageUsage"}
)
"""Wait, hash passwords or compute: they get a part of the requests in a long run."""
BUSY_S: Final = 30.0
"""Longer than a service takes to start again."""
CREDENTIALS: Final = ("authorization", "x-api-key", "cookie")
REFUSED_BEFORE: Final = {
    (requests.codes.bad_request, "bad_request"),
    (requests.codes.forbidden, "origin_not_allowed"),
    (requests.codes.not_found, "not_found"),
    (requests.codes.method_not_allowed, "method_not_allowed"),
    (requests.codes.request_uri_too_large, "uri_too_long"),
}
"""What nobody may send, so that it does not matter who sends it: no such path, no HTTP, too long, from a foreign page."""
CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT: Final = json.loads(OPENAPI.read_text("utf-8"))
SCHEMA: Final = schemathesis.openapi.from_dict(DOCUMENT)
BY_NAME: Final = {endpoint.operation_id: endpoint for endpoint in ENDPOINTS}
REMOVES_TRACKS: Final = frozenset({"deleteTrack", "changeTracks"})


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
def known(system: System, signed_in: SignedIn) -> dict[str, Any]:
    """Return the parameters of a path that lead to something: an analysed song, and what an administrator made."""
    accepted = system.upload_with_retry(songs.song(7301)).json()
    system.wait_for_job(accepted["job_id"])
    version = f"/tracks/{accepted['track_id']}/versions/1"
    artefacts = system.get(f"{version}/artefacts")["artefacts"]
    artefact_id = next(each["id"] for each in artefacts if each["type"] == "metrics")
    with signed_in.client() as client:
        user = client.post("/users", json={"email": "victim@example.org", "name": "Victim"}).json()
        key = client.post("/me/keys", json={"name": "victim"}).json()
        webhook = client.post("/webhooks", json={"url": "https://hooks.example.org/k1"}).json()
        link = client.post(f"{version}/artefacts/{artefact_id}/copy-link", json={}).json()
    return {
        **accepted,
        "version": 1,
        "artefact_id": artefact_id,
        "format": "csv",
        "user_id": user["id"],
        "key_id": key["key"]["id"],
        "webhook_id": webhook["webhook"]["id"],
        "token": link["token"],
    }


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Return a session that keeps its connection."""
    with requests.Session() as session:
        yield session


@dataclass(frozen=True)
class Sender:
    """Sends the same request as different people."""

    gateway: SignedIn
    session: requests.Session
    name: str

    def by_nobody(self, case: schemathesis.Case) -> None:
        """Send it as it was generated: its credentials are random texts."""
        response = self._send(case, {})
        if not BY_NAME[self.name].public:
            assert_refused(case, response, HTTPStatus.UNAUTHORIZED, "unauthenticated")

    def by_too_low(self, case: schemathesis.Case, role: Role) -> None:
        """Send it with a role that is not enough."""
        assert_refused(case, self.by_role(case, role), HTTPStatus.FORBIDDEN, "role_required")

    def by_role(self, case: schemathesis.Case, role: Role) -> requests.Response:
        """Send it with the key of a role."""
        for name in [name for name in case.headers if name.lower() in CREDENTIALS]:
            del case.headers[name]
        case.cookies = {}
        return self._send(case, {"Authorization": f"Bearer {self.gateway.keys[role]}"})

    def _send(self, case: schemathesis.Case, headers: dict[str, str]) -> Any:
        def answer() -> list[Any]:
            response = case.call(
                base_url=f"{self.gateway.url}/api/v1",
                session=self.session,
                headers=headers,
                timeout=PATIENCE_S,
            )
            self.session.cookies.clear()
            assert response.status_code not in RETRYABLE, response.text
            return [response]

        # A 5xx is documented, so that clients know its form, but a fault of ours; a service may be busy for a while.
        what = f"an answer to {case.as_curl_command()}"
        (response,) = wait_until(answer, what, within_s=BUSY_S, retry_on=(AssertionError,))
        assert response.status_code < requests.codes.internal_server_error, f"{response.text}: {what}"
        case.validate_response(response, checks=CHECKS)
        return response


def assert_refused(case: schemathesis.Case, response: Any, status: int, code: str) -> None:
    """Assert that a request was refused so, or before anyone looked at who sent it; HEAD has no code."""
    allowed = {(status, code), *REFUSED_BEFORE}
    if case.method == "HEAD":
        assert response.status_code in {status for status, _ in allowed}, case.as_curl_command()
    else:
        found = (response.status_code, response.json()["code"])
        assert found in allowed, f"{found}: {case.as_curl_command()}"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_request_has_a_documented_answer(
    system: System,
    signed_in: SignedIn,
    *,
    name: str,
    mode: GenerationMode,
    known: dict[str, Any],
    session: requests.Session,
    request: pytest.FixtureRequest,
) -> None:
    """Half of the requests name things that exist."""
    is_long = request.config.getoption("--long")
    long_examples = LONG_EXAMPLES // 6 if name in SLOW else LONG_EXAMPLES
    path, method = OPERATIONS[name]
    operation = SCHEMA[path][method]
    least = ROLES.index("viewer" if BY_NAME[name].public else BY_NAME[name].least_role)
    sender = Sender(signed_in, session, name)

    @settings(
        max_examples=long_examples if is_long else SEED_EXAMPLES,
        derandomize=not is_long,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        exists=st.booleans(),
        role=st.sampled_from(ROLES[least:]),
    )
    def send(case: schemathesis.Case, exists: bool, role: Role) -> None:
        if exists:
            case.path_parameters |= {key: known[key] for key in case.path_parameters if key in known}
        if name == "pollEvents":
            case.query["timeout_s"] = 0
        sender.by_nobody(case)
        for lower in ROLES[:least]:
            sender.by_too_low(case, lower)
        senders: tuple[Role, ...] = ROLES[least:] if is_long else (role,)
        for allowed in senders:
            sender.by_role(case, allowed)

    try:
        send()
    except Unsatisfiable:
        # An operation whose only parameter is a header of any text has no wrong requests.
        assert mode is GenerationMode.NEGATIVE
    finally:
        if name in REMOVES_TRACKS:
            system.request("POST", f"/tracks/{known['track_id']}/restore")
