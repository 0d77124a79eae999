"""Reads through the gateway: queries to the owners, and their results."""

import gzip
from typing import Any

import httpx
import pytest

from k1_contracts.messages.analysis import (
    ANALYSIS_REQUEST,
    JOB_CANCEL,
    JOB_GET,
    JOB_LIST,
    JOB_RETRY,
    WORKER_LIST,
    AnalysisAccepted,
    GetJob,
    JobPage,
    ListJobs,
    ListWorkers,
    RequestTrackAnalysis,
)
from k1_contracts.messages.catalogue.graphs import GRAPH_GET
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY, SetJobPriority
from k1_contracts.messages.catalogue.tracks import (
    ARTEFACT_LIST,
    GENESIS_GET,
    TRACK_GET,
    TRACK_LIST,
    VERSION_GET,
    GetGenesis,
    GetTrack,
    GetVersion,
    ListTracks,
    TrackPage,
)
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.queries.rpc_documents import compress_document
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners

API = "/api/v1"
TRACK, JOB = samples.TRACK, samples.JOB


async def test_a_query_has_every_parameter(http: httpx.AsyncClient, owners: Owners) -> None:
    """The catalogue gets exactly what the client sent, and its result comes back unchanged."""
    owners.respond_with(TRACK_LIST.subject, samples.page(3))
    query = {"status": "ready", "preset": "edm", "search": "söng", "sort": "oldest", "limit": 3, "offset": 6}
    response = await http.get(f"{API}/tracks", params=query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert TrackPage.model_validate_json(response.content) == samples.page(3)
    assert owners.received == [ListTracks.model_validate(query)]


@pytest.mark.parametrize(
    ("path", "subject", "query", "result"),
    [
        (f"/tracks/{TRACK}", TRACK_GET.subject, GetTrack(track_id=TRACK), samples.track()),
        (
            f"/tracks/{TRACK}/versions/2",
            VERSION_GET.subject,
            GetVersion(track_id=TRACK, version=2),
            samples.version(),
        ),
        (
            f"/tracks/{TRACK}/versions/2/artefacts",
            ARTEFACT_LIST.subject,
            GetVersion(track_id=TRACK, version=2),
            samples.artefacts("one"),
        ),
        (
            f"/analysis/jobs?status=failed&track_id={samples.TRACK}&limit=7&cursor=abc",
            JOB_LIST.subject,
            ListJobs(status="failed", track_id=samples.TRACK, limit=7, cursor="abc"),
            JobPage(total=1, items=[samples.job("failed")]),
        ),
        (f"/analysis/jobs/{JOB}", JOB_GET.subject, GetJob(job_id=JOB), samples.job()),
        ("/analysis/workers", WORKER_LIST.subject, ListWorkers(), samples.workers()),
    ],
)
async def test_each_read_sends_one_query_to_its_owner(
    http: httpx.AsyncClient, owners: Owners, *, path: str, subject: str, query: Any, result: Any
) -> None:
    """The ids and numbers of the path become the query; no other query is sent."""
    owners.respond_with(subject, result)
    response = await http.get(API + path)
    assert (response.status_code, owners.received) == (200, [query])


async def test_an_owners_error_becomes_a_problem(http: httpx.AsyncClient, owners: Owners) -> None:
    """The problem has the code, the sentence and the status of the owner."""
    owners.respond_with(TRACK_GET.subject, QueryError("track_not_found", "There is no such track.", 404))
    response = await http.get(f"{API}/tracks/{TRACK}")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert response.json() == {
        "type": "urn:k1:problem:track_not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such track.",
        "code": "track_not_found",
        "trace_id": response.headers["X-Trace-Id"],
    }


async def test_an_absent_owner_is_503(http: httpx.AsyncClient) -> None:
    """The response comes at once, names the missing service and has Retry-After."""
    response = await http.get(f"{API}/tracks")
    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    assert "catalogue" in response.json()["detail"]
    assert response.headers["Retry-After"] == "5"


async def test_an_owners_bug_leaks_nothing(http: httpx.AsyncClient, owners: Owners) -> None:
    """Only the logs of the owner have the error, under the trace id."""
    owners.respond_with(TRACK_GET.subject, RuntimeError("password=secret"))
    response = await http.get(f"{API}/tracks/{TRACK}")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text


async def test_known_content_is_not_sent_again(http: httpx.AsyncClient, owners: Owners) -> None:
    """304 for the tag of this content, alone or in a list; 200 for another tag and after a change."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    tag = (await http.get(f"{API}/tracks")).headers["ETag"]
    for held, status in ((tag, 304), (f'"x", {tag}', 304), ("*", 304), ('"x"', 200)):
        response = await http.get(f"{API}/tracks", headers={"If-None-Match": held})
        assert (response.status_code, bool(response.content)) == (status, status == 200)
        assert response.headers["ETag"] == tag
    owners.respond_with(TRACK_LIST.subject, samples.page(2))
    assert (await http.get(f"{API}/tracks", headers={"If-None-Match": tag})).status_code == 200


async def test_a_new_signature_is_not_new_content(http: httpx.AsyncClient, owners: Owners) -> None:
    """URLs are signed for each response; the tag depends on the content behind them."""
    url = f"{API}/tracks/{TRACK}/versions/1/artefacts"
    owners.respond_with(ARTEFACT_LIST.subject, samples.artefacts("one"))
    tag = (await http.get(url)).headers["ETag"]
    owners.respond_with(ARTEFACT_LIST.subject, samples.artefacts("two"))
    assert (await http.get(url, headers={"If-None-Match": tag})).status_code == 304


async def test_the_map_comes_compressed_or_plain(http: httpx.AsyncClient, owners: Owners) -> None:
    """A client that accepts gzip gets the owner's bytes unchanged, others get them decompressed."""
    content = samples.genesis("rhythm", "dynamics")
    owners.respond_with(GENESIS_GET.subject, await compress_document("tag1", content))
    url = f"{API}/tracks/{TRACK}/versions/1/genesis"
    query = {"layers": "rhythm,dynamics", "from_ms": "0", "to_ms": "1000.5", "max_points": "10"}
    packed = await http.get(url, params=query, headers={"Accept-Encoding": "gzip"})
    assert (packed.content, packed.headers["Content-Encoding"]) == (content, "gzip")
    assert packed.headers["Vary"] == "Accept-Encoding, Origin"
    plain = await http.get(url, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert (plain.content, plain.headers.get("Content-Encoding")) == (content, None)
    assert owners.received[0] == GetGenesis(
        track_id=TRACK, version=1, layers=["rhythm", "dynamics"], from_ms=0, to_ms=1000.5, max_points=10
    )
    again = await http.get(url, headers={"If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert gzip.decompress(gzip.compress(content)) == content


async def test_an_analysis_is_requested(http: httpx.AsyncClient, owners: Owners) -> None:
    """Body and Idempotency-Key reach the catalogue; an empty body means the defaults."""
    accepted = AnalysisAccepted(job_id=JOB, version=2, queue_position=1)
    owners.respond_with(ANALYSIS_REQUEST.subject, accepted)
    url = f"{API}/tracks/{TRACK}/analysis"
    response = await http.post(
        url, json={"preset": "edm", "priority": 9}, headers={"Idempotency-Key": "once"}
    )
    assert (response.status_code, response.json()) == (202, accepted.model_dump(exclude_none=True))
    assert (await http.post(url)).status_code == 202
    assert owners.received == [
        RequestTrackAnalysis(track_id=TRACK, preset="edm", priority=9, idempotency_key="once"),
        RequestTrackAnalysis(track_id=TRACK),
    ]


async def test_a_job_is_retried(http: httpx.AsyncClient, owners: Owners) -> None:
    """POST without a body passes the job and the key to the catalogue; the new job comes with 202."""
    accepted = AnalysisAccepted(job_id=JOB, version=2, queue_position=1)
    owners.respond_with(JOB_RETRY.subject, accepted)
    response = await http.post(f"{API}/analysis/jobs/{JOB}/retry", headers={"Idempotency-Key": "once"})
    assert (response.status_code, AnalysisAccepted.model_validate_json(response.content)) == (202, accepted)


async def test_a_job_is_moved_in_the_queue(http: httpx.AsyncClient, owners: Owners) -> None:
    """PATCH passes the priority; one that does not exist, or none, is 422; a job that runs is 409."""
    url = f"{API}/analysis/jobs/{JOB}"
    owners.respond_with(JOB_SET_PRIORITY.subject, samples.job("queued"))
    response = await http.patch(url, json={"priority": 9})
    assert (response.status_code, response.json()["status"]) == (200, "queued")
    assert [(await http.patch(url, json=body)).status_code for body in ({"priority": 11}, {})] == [422, 422]
    assert owners.received == [SetJobPriority(job_id=JOB, priority=9)]
    owners.respond_with(JOB_SET_PRIORITY.subject, QueryError("job_not_queued", "It runs.", 409))
    refused = await http.patch(url, json={"priority": 9})
    assert (refused.status_code, refused.json()["code"]) == (409, "job_not_queued")
    owners.respond_with(JOB_RETRY.subject, QueryError("too_many_jobs", "You have 3 jobs.", 429))
    refused = await http.post(f"{url}/retry")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")


async def test_a_job_is_cancelled(http: httpx.AsyncClient, owners: Owners) -> None:
    """DELETE cancels through the catalogue and returns the job."""
    owners.respond_with(JOB_CANCEL.subject, samples.job("cancelled"))
    response = await http.delete(f"{API}/analysis/jobs/{JOB}")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")


async def test_every_path_with_get_has_head(http: httpx.AsyncClient, owners: Owners) -> None:
    """Status and headers are the same, the body is absent; streams send their headers at once."""
    owners.respond_with(GENESIS_GET.subject, await compress_document("tag1", samples.genesis("rhythm")))
    for subject, result in (
        (TRACK_LIST.subject, samples.page()),
        (GRAPH_GET.subject, samples.graph()),
        (JOB_GET.subject, samples.job()),
        (DEPLOYMENT_GET.subject, samples.deployment()),
        (TRACK_GET.subject, QueryError("track_not_found", "There is no such track.", 404)),
    ):
        owners.respond_with(subject, result)
    version = f"{API}/tracks/{TRACK}/versions/1"
    fixed = (
        f"{API}/tracks",
        f"{version}/genesis",
        f"{version}/graph",
        f"{API}/tracks/{TRACK}",
        f"{API}/nothing",
    )
    for path in (*fixed, f"{API}/openapi.json", "/docs", "/", "/livez"):
        got, head = await http.get(path), await http.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        changing = {"date", "ratelimit", "x-trace-id", "x-request-id"}
        # The error's body holds a trace id, of the same length each time.
        assert {k: v for k, v in head.headers.items() if k not in changing} == {
            k: v for k, v in got.headers.items() if k not in changing
        }, path
    tag = (await http.head(f"{API}/tracks")).headers["ETag"]
    assert (await http.head(f"{API}/tracks", headers={"If-None-Match": tag})).status_code == 304
    for path in (f"{API}/analysis/jobs/{JOB}/events", f"{API}/deployments/{samples.DEPLOYMENT}/events"):
        head = await http.head(path)
        assert (head.status_code, head.headers["content-type"], head.content) == (
            200,
            "text/event-stream",
            b"",
        )
    owners.respond_with(TRACK_GET.subject, samples.page())
    head = await http.head(f"{API}/tracks/{TRACK}/telemetry/stream")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")
