"""Repeated changes: every one answers an Idempotency-Key, and what the key means for callers, bodies and failures."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext

from k1_contracts.descriptors import AnyQuery, Query
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.users import KEY_CREATE, KeyCreated
from k1_contracts.messages.analysis import JOB_CANCEL, GetJob
from k1_contracts.streams import ANSWERS
from k1_gateway.errors import ProblemError
from k1_gateway.handlers import ENDPOINTS
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.repeats.answer_store import MAX_SEALED_BYTES, AnswerStore, Place
from k1_gateway.repeats.sealing import Answer, RepeatKey
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.path_values import PATH_VALUES
from services.gateway.tests.schemas import DOCUMENT
from services.gateway.tests.tokens import access_token, bearer
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S

CHANGES: Final = [each for each in ENDPOINTS if each.method not in {"GET", "HEAD", "OPTIONS"}]
OWNED: Final = {
    "uploadTrack",
    "changeTracks",
    "saveBeatOverride",
    "removeBeatOverride",
    "saveGraphVersion",
    "requestAnalysis",
    "retryJob",
    "requestDeployment",
}
"""Their owners know the key: the answer holds also where a gateway ends between the change and the answer."""
SAME: Final = {
    "appendToUpload": "the offset says whether the bytes are there already",
    "previewBeats": "it changes nothing",
    "validateGraph": "it changes nothing",
}
SIGNING_IN: Final = {
    "register",
    "verifyEmail",
    "logIn",
    "logInByLink",
    "refreshSession",
    "logOut",
    "forgotPassword",
    "resetPassword",
}
"""Nobody is signed in, whose key it could be; tokens that work once guard against repetition."""
OF_INGEST: Final = {"createTrack", "completeTrack", "createUpload", "terminateUpload"}
BODIES: Final[dict[str, Any]] = {
    "putGraph": {"name": "g", "nodes": []},
    "editTrack": {"title": "T"},
    "runGraphQL": {"query": "{ __typename }"},
    "simulateGraph": {},
    "cleanUpStorage": {"dry_run": False},
}
"""Bodies of what is no field of its query."""


def golden(model: type[Any]) -> Any:
    """Return a complete example of a contract."""
    return model.model_validate_json(max((samples.GOLDEN / model.__name__).glob("*.json")).read_text("utf-8"))


def body_of(endpoint: Endpoint) -> Any:
    if endpoint.operation_id in BODIES:
        return BODIES[endpoint.operation_id]
    if endpoint.query is None or not endpoint.body_fields:
        return None
    example = golden(endpoint.query.model).model_dump(mode="json")
    return {name: example[name] for name in endpoint.body_fields if example.get(name) is not None}


def path_of(endpoint: Endpoint) -> str:
    return "/api/v1" + endpoint.path.format(**PATH_VALUES)


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


# ------------------------------------------------------------------ every change


@pytest.mark.parametrize("endpoint", CHANGES, ids=lambda each: each.operation_id)
def test_every_change_has_an_answer_to_repetition(endpoint: Endpoint) -> None:
    """A new change keeps its answers unless it stands in a list here, with the reason."""
    name = endpoint.operation_id
    expected = "owned" if name in OWNED else "same" if name in SAME else "stored"
    assert endpoint.answers_repeats == (None if name in SIGNING_IN else expected)
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
    assert ("Idempotency-Key" in headers) == (name not in {*SAME, *SIGNING_IN})
    if endpoint.answers_repeats == "owned" and endpoint.query is not None and name != "requestDeployment":
        assert "idempotency_key" in endpoint.query.model.model_fields
    if endpoint.answers_repeats == "stored":
        assert "`request_in_progress`" in operation["responses"]["409"]["description"]
        assert "`idempotency_key_reused`" in operation["responses"]["422"]["description"]


STORED: Final = [
    each for each in CHANGES if each.answers_repeats == "stored" and each.operation_id not in OF_INGEST
]


@pytest.mark.parametrize("endpoint", STORED, ids=lambda each: each.operation_id)
async def test_a_repeated_change_reaches_its_owner_once(
    http: httpx.AsyncClient, owners: Owners, endpoint: Endpoint
) -> None:
    """The second request gets the answer of the first, though the owner would say something else by now."""
    query: AnyQuery[Any] | None = endpoint.query
    if isinstance(query, Query):
        owners.respond_with(query.subject, golden(query.response))
    headers, body = key(), body_of(endpoint)

    async def send(**more: str) -> httpx.Response:
        given = {**headers, **more}
        return await http.request(endpoint.method, path_of(endpoint), headers=given, json=body)

    first = await send()
    asked = len(owners.received)
    if query is not None:
        owners.respond_with(query.subject, QueryError("not_again", "This happened before.", 409))
    second = await send()
    assert first.status_code == endpoint.status, first.text
    kept = ("Content-Type", "ETag", "Cache-Control", "Location")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert [second.headers.get(each) for each in kept] == [first.headers.get(each) for each in kept]
    assert asked == len(owners.received) == (0 if query is None else 1)


async def test_a_created_track_and_upload_are_the_same(http: httpx.AsyncClient) -> None:
    """Ingest makes one track, and one upload; another length is another request."""
    headers = key()
    created = [await http.post("/api/v1/tracks", json={"title": "Once"}, headers=headers) for _ in range(2)]
    assert [each.status_code for each in created] == [201, 201]
    assert created[0].json() == created[1].json()
    tus = {"Tus-Resumable": "1.0.0", **key()}
    uploads = [
        await http.post("/api/v1/uploads", headers={**tus, "Upload-Length": length})
        for length in ("10", "10", "11")
    ]
    assert [each.status_code for each in uploads] == [201, 201, 422]
    assert uploads[0].headers["Location"] == uploads[1].headers["Location"]
    repeated = key()
    gone = [
        await http.delete(uploads[0].headers["Location"], headers={"Tus-Resumable": "1.0.0", **given})
        for given in (repeated, repeated, key())
    ]
    assert [each.status_code for each in gone] == [204, 204, 404]


# ------------------------------------------------------------------ what a key means

CANCEL: Final = f"/api/v1/analysis/jobs/{samples.JOB}"


async def test_a_key_belongs_to_one_request_of_one_caller(secured: RunningService, owners: Owners) -> None:
    """Another body or path with it is refused; another user has keys of their own, the keys of a user are the user."""
    owners.respond_with(JOB_CANCEL.subject, samples.job())
    async with httpx.AsyncClient(base_url=secured.url, timeout=PATIENCE_S) as http:
        headers, user = key(), new_id("usr")
        ann = headers | bearer(access_token("editor", sub=user))
        bob = headers | bearer(access_token("editor", sub=new_id("usr")))
        assert (await http.delete(CANCEL, headers=ann)).status_code == 200
        assert (await http.delete(CANCEL, headers=ann)).status_code == 200
        other = await http.delete(f"/api/v1/analysis/jobs/{new_id('job')}", headers=ann)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert (await http.delete(CANCEL, headers=bob)).status_code == 200
        assert [each for each in owners.received if isinstance(each, GetJob)] == [
            GetJob(job_id=samples.JOB)
        ] * 2
        viewer = headers | bearer(access_token("viewer", sub=user))
        assert (
            await http.delete(CANCEL, headers=viewer)
        ).status_code == 403  # a stored answer is not for less


async def test_a_failed_change_can_be_repeated(http: httpx.AsyncClient, owners: Owners) -> None:
    """Only success is kept."""
    headers = key()
    for code, status in (("job_ended", 409), ("service_unavailable", 503), ("service_timeout", 504)):
        owners.respond_with(JOB_CANCEL.subject, QueryError(code, "Try again.", status))
        assert (await http.delete(CANCEL, headers=headers)).status_code == status
    owners.respond_with(JOB_CANCEL.subject, samples.job())
    assert (await http.delete(CANCEL, headers=headers)).status_code == 200


async def test_requests_at_the_same_time_make_one_change(http: httpx.AsyncClient, owners: Owners) -> None:
    """All but one are told that it runs, and get its answer afterwards."""
    owners.respond_with(JOB_CANCEL.subject, samples.job())
    headers = key()
    answers = await asyncio.gather(*(http.delete(CANCEL, headers=headers) for _ in range(8)))
    assert {each.status_code for each in answers} <= {200, 409}
    running = [each for each in answers if each.status_code == 409]
    assert all(each.json()["code"] == "request_in_progress" for each in running)
    assert all(each.headers["Retry-After"] == "1" for each in running)
    assert (await http.delete(CANCEL, headers=headers)).status_code == 200
    assert len(owners.received) == 1


async def test_no_secret_is_readable_in_the_bucket(
    http: httpx.AsyncClient, owners: Owners, jetstream: JetStreamContext
) -> None:
    """Neither the new API key nor the idempotency key; without that key nothing opens the answer."""
    created: KeyCreated = golden(KEY_CREATE.response)
    owners.respond_with(KEY_CREATE.subject, created)
    headers = key()
    body = {"name": "laptop", "role": "viewer"}
    answers = [await http.post("/api/v1/me/keys", json=body, headers=headers) for _ in range(2)]
    assert [each.json()["secret"] for each in answers] == [created.secret] * 2
    name = RepeatKey.of("local:local", headers["Idempotency-Key"]).name
    bucket = await jetstream.key_value(ANSWERS.name)
    stored = (await bucket.get(name)).value or b""
    assert json.loads(stored)["answer"]
    for secret in (created.secret, headers["Idempotency-Key"], "laptop"):
        assert secret.encode() not in stored


# ------------------------------------------------------------------ the store


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(jetstream: JetStreamContext, clock: Clock) -> AnswerStore:
    return AnswerStore(jetstream, clock)


async def refusal(store: AnswerStore, key: RepeatKey, fingerprint: str = "f") -> str:
    with pytest.raises(ProblemError) as refused:
        await store.begin(key, fingerprint, 60)
    return refused.value.code


async def test_the_place_of_a_gateway_that_ended_is_taken(store: AnswerStore, clock: Clock) -> None:
    """After the time that the request may last, and by one request only; the late first one changes nothing then."""
    key = RepeatKey.of("user:1", secrets.token_hex(16))
    first = await store.begin(key, "f", 60)
    assert isinstance(first, Place)
    assert await refusal(store, key) == "request_in_progress"
    clock.now += 61
    second = await store.begin(key, "f", 60)
    assert isinstance(second, Place)
    assert await refusal(store, key) == "request_in_progress"
    with pytest.raises(ProblemError):
        await store.finish(first, Answer(200, {}, b"late"))
    await store.finish(second, Answer(201, {"ETag": '"1"'}, b"{}"))
    assert await store.begin(key, "f", 60) == Answer(201, {"ETag": '"1"'}, b"{}")
    assert await refusal(store, key, "g") == "idempotency_key_reused"


async def test_a_huge_answer_is_not_kept(store: AnswerStore) -> None:
    """The request runs again instead."""
    key = RepeatKey.of("user:1", secrets.token_hex(16))
    place = await store.begin(key, "f", 60)
    assert isinstance(place, Place)
    await store.finish(place, Answer(200, {}, secrets.token_bytes(MAX_SEALED_BYTES)))
    assert isinstance(await store.begin(key, "f", 60), Place)


@given(st.text(), st.text(), st.binary(), st.dictionaries(st.text(), st.text()))
def test_only_the_same_key_of_the_same_caller_opens_an_answer(
    caller: str, key: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = Answer(200, headers, body)
    own = RepeatKey.of(caller, key)
    assert RepeatKey.of(caller, key).open(own.seal(answer)) == answer
    for other in (RepeatKey.of(caller + "x", key), RepeatKey.of(caller, key + "x")):
        assert other.name != own.name
        with pytest.raises(InvalidTag):
            other.open(own.seal(answer))


def test_parts_of_a_request_do_not_run_together() -> None:
    own = RepeatKey.of("user:1", "k")
    assert own.fingerprint((b"ab", b"c")) != own.fingerprint((b"a", b"bc"))
