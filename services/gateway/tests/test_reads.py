"""Reading through the gateway: questions out, the owners' answers back."""

import gzip
from typing import Any

import httpx
import pytest

from k1_contracts import queries, subjects
from k1_platform.rpc import AnswerError
from k1_platform.rpc_documents import document
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners

API = "/api/v1"
TRACK, JOB = samples.TRACK, samples.JOB


async def test_a_question_carries_every_parameter(http: httpx.AsyncClient, owners: Owners) -> None:
    """The catalogue is asked exactly what the client asked, and its answer comes back unchanged."""
    owners.respond_with(subjects.RPC_TRACK_LIST, samples.page(3))
    query = {"status": "ready", "preset": "edm", "search": "söng", "sort": "oldest", "limit": 3, "offset": 6}
    answer = await http.get(f"{API}/tracks", params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert queries.TrackPage.model_validate_json(answer.content) == samples.page(3)
    assert owners.received == [queries.ListTracks.model_validate(query)]


@pytest.mark.parametrize(
    ("path", "subject", "question", "result"),
    [
        (f"/tracks/{TRACK}", subjects.RPC_TRACK_GET, queries.GetTrack(track_id=TRACK), samples.track()),
        (
            f"/tracks/{TRACK}/versions/2",
            subjects.RPC_VERSION_GET,
            queries.GetVersion(track_id=TRACK, version=2),
            samples.version(),
        ),
        (
            f"/tracks/{TRACK}/versions/2/artefacts",
            subjects.RPC_ARTEFACT_LIST,
            queries.GetVersion(track_id=TRACK, version=2),
            samples.artefacts("one"),
        ),
        (
            "/analysis/jobs?status=failed&limit=7",
            subjects.RPC_JOB_LIST,
            queries.ListJobs(status="failed", limit=7),
            queries.JobPage(total=1, items=[samples.job("failed")]),
        ),
        (f"/analysis/jobs/{JOB}", subjects.RPC_JOB_GET, queries.GetJob(job_id=JOB), samples.job()),
        ("/analysis/workers", subjects.RPC_WORKER_LIST, queries.ListWorkers(), samples.workers()),
    ],
)
async def test_each_read_asks_its_owner(
    http: httpx.AsyncClient, owners: Owners, *, path: str, subject: str, question: Any, result: Any
) -> None:
    """The path's ids and numbers become the question, and nobody else is asked."""
    owners.respond_with(subject, result)
    answer = await http.get(API + path)
    assert (answer.status_code, owners.received) == (200, [question])


async def test_an_owners_error_becomes_a_problem(http: httpx.AsyncClient, owners: Owners) -> None:
    """With the owner's code, sentence and status."""
    owners.respond_with(
        subjects.RPC_TRACK_GET, AnswerError("track_not_found", "There is no such track.", 404)
    )
    answer = await http.get(f"{API}/tracks/{TRACK}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json() == {
        "type": "urn:k1:problem:track_not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such track.",
        "code": "track_not_found",
        "trace_id": answer.headers["X-Trace-Id"],
    }


async def test_an_absent_owner_is_503(http: httpx.AsyncClient) -> None:
    """At once, saying who is missing and when to come back."""
    answer = await http.get(f"{API}/tracks")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert "catalogue" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "5"


async def test_an_owners_bug_leaks_nothing(http: httpx.AsyncClient, owners: Owners) -> None:
    """What failed is in the logs of the owner, under the trace id."""
    owners.respond_with(subjects.RPC_TRACK_GET, RuntimeError("password=secret"))
    answer = await http.get(f"{API}/tracks/{TRACK}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_known_content_is_not_sent_again(http: httpx.AsyncClient, owners: Owners) -> None:
    """304 for the tag of this content, alone or in a list; 200 for another's and after a change."""
    owners.respond_with(subjects.RPC_TRACK_LIST, samples.page())
    tag = (await http.get(f"{API}/tracks")).headers["ETag"]
    for held, status in ((tag, 304), (f'"x", {tag}', 304), ("*", 304), ('"x"', 200)):
        answer = await http.get(f"{API}/tracks", headers={"If-None-Match": held})
        assert (answer.status_code, bool(answer.content)) == (status, status == 200)
        assert answer.headers["ETag"] == tag
    owners.respond_with(subjects.RPC_TRACK_LIST, samples.page(2))
    assert (await http.get(f"{API}/tracks", headers={"If-None-Match": tag})).status_code == 200


async def test_a_fresh_signature_is_not_new_content(http: httpx.AsyncClient, owners: Owners) -> None:
    """URLs are signed anew for each answer; the tag is of what they lead to."""
    url = f"{API}/tracks/{TRACK}/versions/1/artefacts"
    owners.respond_with(subjects.RPC_ARTEFACT_LIST, samples.artefacts("one"))
    tag = (await http.get(url)).headers["ETag"]
    owners.respond_with(subjects.RPC_ARTEFACT_LIST, samples.artefacts("two"))
    assert (await http.get(url, headers={"If-None-Match": tag})).status_code == 304


async def test_the_map_comes_compressed_or_plain(http: httpx.AsyncClient, owners: Owners) -> None:
    """The owner's gzip is passed on untouched to those who take it, and opened for the rest."""
    content = samples.genesis("rhythm", "dynamics")
    owners.respond_with(subjects.RPC_GENESIS_GET, await document("tag1", content))
    url = f"{API}/tracks/{TRACK}/versions/1/genesis"
    query = {"layers": "rhythm,dynamics", "from_ms": "0", "to_ms": "1000.5", "max_points": "10"}
    packed = await http.get(url, params=query, headers={"Accept-Encoding": "gzip"})
    assert (packed.content, packed.headers["Content-Encoding"]) == (content, "gzip")
    assert packed.headers["Vary"] == "Accept-Encoding, Origin"
    plain = await http.get(url, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert (plain.content, plain.headers.get("Content-Encoding")) == (content, None)
    assert owners.received[0] == queries.GetGenesis(
        track_id=TRACK, version=1, layers=["rhythm", "dynamics"], from_ms=0, to_ms=1000.5, max_points=10
    )
    again = await http.get(url, headers={"If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert gzip.decompress(gzip.compress(content)) == content


async def test_an_analysis_is_requested(http: httpx.AsyncClient, owners: Owners) -> None:
    """Body and Idempotency-Key reach the catalogue; an empty body means the defaults."""
    accepted = queries.AnalysisAccepted(job_id=JOB, version=2, queue_position=1)
    owners.respond_with(subjects.RPC_ANALYSIS_REQUEST, accepted)
    url = f"{API}/tracks/{TRACK}/analysis"
    answer = await http.post(url, json={"preset": "edm", "priority": 9}, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()) == (202, accepted.model_dump(exclude_none=True))
    assert (await http.post(url)).status_code == 202
    assert owners.received == [
        queries.RequestTrackAnalysis(track_id=TRACK, preset="edm", priority=9, idempotency_key="once"),
        queries.RequestTrackAnalysis(track_id=TRACK),
    ]


async def test_a_job_is_cancelled(http: httpx.AsyncClient, owners: Owners) -> None:
    """DELETE asks the catalogue to cancel, and tells how the job stands."""
    owners.respond_with(subjects.RPC_JOB_CANCEL, samples.job("cancelled"))
    answer = await http.delete(f"{API}/analysis/jobs/{JOB}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_head_is_answered_wherever_get_is(http: httpx.AsyncClient, owners: Owners) -> None:
    """With the same status and headers and without the body; streams send their head at once."""
    owners.respond_with(subjects.RPC_GENESIS_GET, await document("tag1", samples.genesis("rhythm")))
    for subject, result in (
        (subjects.RPC_TRACK_LIST, samples.page()),
        (subjects.RPC_GRAPH_GET, samples.graph()),
        (subjects.RPC_JOB_GET, samples.job()),
        (subjects.RPC_DEPLOYMENT_GET, samples.deployment()),
        (subjects.RPC_TRACK_GET, AnswerError("track_not_found", "There is no such track.", 404)),
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
        changing = {"date", "x-trace-id", "x-request-id"}
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
    owners.respond_with(subjects.RPC_TRACK_GET, samples.page())
    head = await http.head(f"{API}/tracks/{TRACK}/telemetry/stream")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")


async def test_the_address_alone_leads_to_the_page(http: httpx.AsyncClient) -> None:
    """Whoever opens what `k1 up` printed finds something."""
    answer = await http.get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/docs")
