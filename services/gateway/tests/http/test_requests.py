"""Invalid requests, headers, origins: what the gateway itself decides."""

import asyncio
import string

import httpx
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.catalogue.tracks import ListTracks
from k1_gateway.errors import Problem, ProblemError
from k1_gateway.handlers import ENDPOINTS
from k1_gateway.http.entity_tags import content_tag, if_none_match_tags
from k1_gateway.http.problem_responses import RETRY_AFTER_S, problem_response
from k1_gateway.http.problem_texts import SHARED_RESPONSES
from k1_gateway.http.request_parsing import build_query
from services.gateway.tests import samples
from services.gateway.tests.conftest import ORIGIN
from services.gateway.tests.schemas import DOCUMENT
from tests.support.waiting import PATIENCE_S

API = "/api/v1"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", f"{API}/nothing", 404, "not_found"),
        ("PUT", f"{API}/tracks", 405, "method_not_allowed"),
        ("GET", f"{API}/tracks/upload/x", 404, "not_found"),
        ("GET", f"{API}/tracks/..%2f..%2fetc", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks/trk_1", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks/{samples.TRACK}/versions/0", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks/{samples.TRACK}/versions/two", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks?colour=red", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks/{samples.TRACK}/versions/1/genesis?etag=x", 422, "invalid_parameter"),
        ("GET", f"{API}/tracks/{samples.TRACK}/versions/1/genesis?from_ms=nan", 422, "invalid_parameter"),
        ("DELETE", f"{API}/analysis/jobs/{samples.TRACK}", 422, "invalid_parameter"),
    ],
)
async def test_every_error_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """RFC 9457 with a stable code, a sentence, and the trace id that the headers have as well."""
    response = await http.request(method, path)
    problem = Problem.model_validate_json(response.content)
    assert (response.status_code, problem.status, problem.code) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem.detail.endswith(".")
    assert problem.trace_id == response.headers["X-Trace-Id"] != "0" * 32
    assert response.headers["Cache-Control"] == "no-store"


async def test_405_names_the_allowed_methods(http: httpx.AsyncClient) -> None:
    """RFC 9110 requires the header Allow."""
    assert (await http.put(f"{API}/tracks")).headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", sorted({each.path for each in ENDPOINTS if each.is_literal}))
async def test_a_literal_path_is_no_id(http: httpx.AsyncClient, path: str) -> None:
    """`GET /tracks/upload` does not search a track `upload`: 405 with the methods of the literal path."""
    methods = {each.method for each in ENDPOINTS if each.path == path}
    allowed = methods | ({"HEAD"} if "GET" in methods else set())
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"} - allowed:
        response = await http.request(method, API + path)
        assert (response.status_code, response.headers["Allow"]) == (405, ", ".join(sorted(allowed)))


async def test_every_fault_is_named_at_once(http: httpx.AsyncClient) -> None:
    """Four mistakes are four entries, with the known parameters beside the unknown one."""
    response = await http.get(f"{API}/tracks?limit=1000&sort=best&colour=red&offset=1&offset=2")
    faults = {fault["name"]: fault["message"] for fault in response.json()["errors"]}
    assert set(faults) == {"limit", "sort", "colour", "offset"}
    assert "status, preset, search" in faults["colour"]
    assert faults["offset"] == "is given more than once"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"[" * 100_000, "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b"[]", "application/json", 422, "invalid_body"),
        (b'{"colour": 1, "track_id": "x"}', "application/json", 422, "invalid_body"),
        (b'{"priority": 11}', "application/json", 422, "invalid_parameter"),
        (b"priority=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b" " * 1_100_000, "application/json", 413, "body_too_large"),
    ],
)
async def test_bodies_are_checked(
    http: httpx.AsyncClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    """A body must be a JSON object of at most 1 MiB with known fields."""
    response = await http.post(
        f"{API}/tracks/{samples.TRACK}/analysis", content=body, headers={"Content-Type": content_type}
    )
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/tracks/{samples.TRACK}/analysis"),
        ("POST", f"/deployments/{samples.DEPLOYMENT}/cancel"),
        ("POST", "/deployments"),
        ("POST", "/tracks/upload"),
        ("DELETE", f"/analysis/jobs/{samples.JOB}"),
    ],
)
async def test_an_idempotency_key_has_a_maximum_length(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    """Longer keys are rejected rather than cut, also where a repetition has no effect anyway."""
    response = await http.request(method, API + path, headers={"Idempotency-Key": "x" * 256})
    assert response.json()["errors"][0]["name"] == "Idempotency-Key"


async def test_a_request_is_traceable(http: httpx.AsyncClient) -> None:
    """The caller's trace continues, a valid request id comes back, any other is replaced."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-Id": "req-1"}
    response = await http.get(f"{API}/openapi.json", headers=headers)
    assert (response.headers["X-Trace-Id"], response.headers["X-Request-Id"]) == (trace, "req-1")
    odd = await http.get(f"{API}/openapi.json", headers={"X-Request-Id": "a b<script>"})
    assert odd.headers["X-Request-Id"] == odd.headers["X-Trace-Id"]


async def test_every_response_has_security_headers(http: httpx.AsyncClient) -> None:
    """Results, errors and the page have them."""
    for path in (f"{API}/openapi.json", "/nothing", "/docs"):
        headers = (await http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_only_listed_origins_may_call(http: httpx.AsyncClient) -> None:
    """A listed origin is repeated in the response, another is not; a preflight is allowed or rejected."""
    listed = await http.get(f"{API}/openapi.json", headers={"Origin": ORIGIN})
    assert listed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert listed.headers["Vary"] == "Origin"
    other = await http.get(f"{API}/openapi.json", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    ask = {"Access-Control-Request-Method": "POST"}
    url = f"{API}/tracks/upload"
    allowed = await http.options(url, headers={"Origin": ORIGIN, **ask})
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    refused = await http.options(url, headers={"Origin": "https://evil.example", **ask})
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")


async def test_health_reports_each_service(http: httpx.AsyncClient) -> None:
    """One service is ready as soon as it responds in time, one is absent; the status is 200."""
    seen: object = None
    async with asyncio.timeout(PATIENCE_S):
        while seen != ("degraded", {"ingest": "ready", "analysis": "unreachable"}):
            response = await http.get(f"{API}/health")
            assert response.status_code == 200
            states = {service["name"]: service["status"] for service in response.json()["services"]}
            seen = (response.json()["status"], states)
            assert (seen[0], states["analysis"]) == ("degraded", "unreachable")


_QUERY = ("status", "preset", "search", "sort", "limit", "offset", "cursor")
_words = st.text(string.ascii_letters + string.digits + "-_.,", max_size=12)


@given(st.lists(st.tuples(st.sampled_from([*_QUERY, "other"]), _words), max_size=6))
def test_any_url_query_is_accepted_or_its_faults_are_named(pairs: list[tuple[str, str]]) -> None:
    """An accepted query keeps the contract's limits; a rejection names only given parameters."""
    url_query = "&".join(f"{name}={value}" for name, value in pairs)
    request = make_mocked_request("GET", f"/tracks?{url_query}")
    try:
        query = build_query(request, ListTracks, params=_QUERY)
    except ProblemError as problem:
        named = {fault.name for fault in problem.errors}
    else:
        named = set()
        assert 1 <= query.limit <= 200
        assert "other" not in dict(pairs)
    assert named <= {name for name, _ in pairs}


@given(st.lists(st.from_regex(r"[a-f0-9]{4,8}", fullmatch=True), max_size=4))
def test_tags_of_if_none_match_are_parsed(tags: list[str]) -> None:
    """They may be weak or strong, in any number."""
    header = ", ".join(f'W/"{tag}"' if index % 2 else f'"{tag}"' for index, tag in enumerate(tags))
    assert if_none_match_tags(make_mocked_request("GET", "/", headers={"If-None-Match": header})) == tags


def test_the_tag_of_signed_urls_changes_every_half_hour() -> None:
    """The tag of other content changes only with the content."""
    signed, plain = b'{"url":"http://s/a?sig=1","n":1}', b'{"n":1}'
    assert content_tag(signed, 0) == content_tag(signed.replace(b"=1", b"=2"), 1799)
    assert content_tag(signed, 0) != content_tag(signed, 1800)
    assert content_tag(signed, 0) != content_tag(signed.replace(b'"n":1', b'"n":2'), 0)
    assert content_tag(plain, 0) == content_tag(plain, 99_999)


@pytest.mark.parametrize("status", [503, 504])
def test_a_temporary_problem_has_retry_after(status: int) -> None:
    """The header is there when an owner is away and when it does not respond in time."""
    response = problem_response(ProblemError("service_timeout", status, "Try again."))
    assert response.headers["Retry-After"] == str(RETRY_AFTER_S)
    responses = DOCUMENT["components"]["responses"]
    assert "Retry-After" in responses[SHARED_RESPONSES[status]]["headers"]
