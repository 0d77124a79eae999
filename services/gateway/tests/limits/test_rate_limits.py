"""Rate limits by user, or by address without one."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.actors import Actor
from k1_contracts.messages.analysis import ANALYSIS_REQUEST, AnalysisAccepted
from k1_contracts.messages.catalogue.track_edits import TRACK_BATCH, BatchResult
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_CONTROL
from k1_gateway.errors import ProblemError
from k1_gateway.handlers import ENDPOINTS
from k1_gateway.limits import rate_limits
from k1_gateway.limits.callers import caller_of
from k1_gateway.limits.rate_limits import RateLimiter
from k1_gateway.limits.shared_rates import LocalRates
from k1_gateway.settings import Allowance, GatewaySettings
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.schemas import DOCUMENT
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S

ADDRESS = "192.0.2.1"


class Clock:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def limits(allowance: Allowance, clock: Clock) -> RateLimiter:
    return RateLimiter({"uploads": allowance}, loopback_factor=10, store=LocalRates(clock))


def actor(kind: Literal["user", "key"], user_id: str) -> Actor:
    return Actor(kind=kind, id=user_id, name="Ann", role="viewer")


async def passes(limited: RateLimiter, remote: str, who: Actor | None = None) -> bool:
    try:
        async with limited.admit("uploads", remote, who):
            return True
    except ProblemError as error:
        if error.status != 429 or int(error.headers["Retry-After"]) < 1:
            raise
        return False


@given(st.integers(1, 120), st.integers(1, 20), st.lists(st.floats(0, 30), max_size=60))
def test_never_more_than_the_burst_and_the_rate(per_minute: int, burst: int, pauses: list[float]) -> None:
    """In any period at most the saved and the new tokens are used; after Retry-After a request passes."""

    async def run() -> None:
        clock = Clock()
        limited = limits(Allowance(per_minute=per_minute, burst=burst, at_once=1), clock)
        passed = 0
        for pause in pauses:
            clock.now_s += pause
            passed += await passes(limited, ADDRESS)
        assert passed <= burst + clock.now_s * per_minute / 60 + 1e-6
        clock.now_s += burst * 60 / per_minute + 1
        for _ in range(burst):
            assert await passes(limited, ADDRESS)
        with pytest.raises(ProblemError) as caught:
            async with limited.admit("uploads", ADDRESS):
                pass
        clock.now_s += int(caught.value.headers["Retry-After"])
        assert await passes(limited, ADDRESS)

    asyncio.run(run())


async def test_addresses_have_separate_allowances() -> None:
    """So have kinds; this machine has a larger one, and an IPv6 network is one caller."""
    clock = Clock()
    limited = limits(Allowance(per_minute=1, burst=2, at_once=1), clock)
    assert [await passes(limited, ADDRESS) for _ in range(3)] == [True, True, False]
    assert await passes(limited, "192.0.2.2")
    assert [await passes(limited, "127.0.0.1") for _ in range(21)] == [True] * 20 + [False]
    addresses = ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:0:1::"]
    assert [await passes(limited, address) for address in addresses] == [True, True, False]
    assert caller_of("::ffff:192.0.2.1") == caller_of("192.0.2.1")


async def test_a_user_has_one_allowance_at_every_address() -> None:
    """With any of the user's keys; another user at the same address has another one."""
    limited = limits(Allowance(per_minute=1, burst=2, at_once=1), Clock())
    ann, key = actor("user", "usr_a"), actor("key", "usr_a")
    assert await passes(limited, ADDRESS, ann)
    assert await passes(limited, "192.0.2.9", key)
    assert not await passes(limited, "192.0.2.10", ann)
    assert await passes(limited, ADDRESS, actor("user", "usr_b"))
    assert await passes(limited, ADDRESS)


async def test_requests_beyond_the_limit_wait() -> None:
    """Two run, one waits, the next is rejected; the waiting one runs when another has ended, however it ended."""
    limited = limits(Allowance(per_minute=60, burst=60, at_once=2, waiting=1, wait_s=PATIENCE_S), Clock())
    begun: list[int] = []
    ends = [asyncio.Event() for _ in range(3)]

    async def request(number: int) -> None:
        async with limited.admit("uploads", ADDRESS):
            begun.append(number)
            await ends[number].wait()

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
        tasks = [group.create_task(request(number)) for number in range(3)]
        while begun != [0, 1]:
            await asyncio.sleep(0)
        assert not await passes(limited, ADDRESS)
        tasks[0].cancel()
        while begun != [0, 1, 2]:
            await asyncio.sleep(0)
        for end in ends:
            end.set()
    assert await passes(limited, ADDRESS)


async def test_waiting_is_limited_in_time() -> None:
    """A request that waits too long is rejected and no longer counts."""
    limited = limits(Allowance(per_minute=60, burst=60, at_once=1, waiting=1, wait_s=0.01), Clock())
    async with limited.admit("uploads", ADDRESS):
        assert not await passes(limited, ADDRESS)
    assert await passes(limited, ADDRESS)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the callers that were inactive for longest are removed, never one with a running request."""
    monkeypatch.setattr(rate_limits, "_MAX_CALLERS", 50)
    limited = limits(Allowance(per_minute=1, burst=1, at_once=1), Clock())
    async with AsyncExitStack() as running:
        await running.enter_async_context(limited.admit("uploads", ADDRESS))
        for number in range(500):
            assert await passes(limited, f"198.51.{number // 250}.{number % 250}")
        assert len(limited) == 50
        assert not await passes(limited, ADDRESS)


def test_fifty_songs_at_once_are_allowed() -> None:
    """A designer on another machine can drop so many into the page with the default settings."""
    uploads = GatewaySettings().limit_uploads
    assert uploads.burst >= 50
    assert uploads.at_once + uploads.waiting >= 50


async def test_a_gateway_limits_its_callers(owners: Owners, provisioned: Infrastructure, tmp_path) -> None:
    """429 is a problem with the rest of the allowance and Retry-After; rollbacks are never limited.

    Every way to a new job uses the allowance for analyses: a retry, a batch and a mutation too.
    """
    own = {
        "K1_GATEWAY_INGEST_URL": "http://127.0.0.1:9",
        "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "1",
        "K1_GATEWAY_LIMIT_ANALYSES": '{"per_minute": 1, "burst": 2, "at_once": 1}',
    }
    owners.respond_with(
        ANALYSIS_REQUEST.subject,
        AnalysisAccepted(job_id=samples.JOB, version=2, queue_position=1),
    )
    owners.respond_with(DEPLOYMENT_CONTROL.subject, samples.deployment())
    with suppress(NotFoundError):  # the first gateway makes it
        await owners.bus.jetstream.purge_stream(streams.RATE_LIMITS.stream)  # gateways of other tests
    with running_service("gateway", provisioned.environment | own, tmp_path) as running:
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", timeout=PATIENCE_S) as http:
            responses = [await http.post(f"/tracks/{samples.TRACK}/analysis") for _ in range(3)]
            assert [response.status_code for response in responses] == [202, 202, 429]
            assert responses[0].headers["RateLimit"] == '"analyses";r=1;t=60'
            assert responses[2].headers["RateLimit-Policy"] == '"analyses";q=2;w=120'
            assert responses[2].json()["code"] == "rate_limited"
            assert 1 <= int(responses[2].headers["Retry-After"]) <= 60
            await _require_no_other_way(http, owners)
            for _ in range(20):
                undone = await http.post(f"/deployments/{samples.DEPLOYMENT}/rollback")
                assert undone.status_code == 200


async def _require_no_other_way(http: httpx.AsyncClient, owners: Owners) -> None:
    """Require that no request makes a job while the allowance for analyses is used up; other changes pass."""
    asked = len(owners.received)
    batch = {"track_ids": [samples.TRACK], "action": "analyse"}
    for answer in (
        await http.post(f"/analysis/jobs/{samples.JOB}/retry"),
        await http.post("/tracks/batch", json=batch),
    ):
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    for field in (f'analyse_track(id: "{samples.TRACK}")', f'retry_job(id: "{samples.JOB}")'):
        answer = await http.post("/graphql", json={"query": f"mutation {{ {field} {{ job_id }} }}"})
        [error] = answer.json()["errors"]
        assert (error["extensions"]["code"], error["extensions"]["status"]) == ("rate_limited", 429)
    assert len(owners.received) == asked
    owners.respond_with(TRACK_BATCH.subject, BatchResult(items=[], failed=0))
    tagged = await http.post("/tracks/batch", json=batch | {"action": "tag", "tags": ["a"]})
    assert tagged.status_code == 200


def test_the_document_describes_the_allowance() -> None:
    """The OpenAPI document has the RateLimit headers of each limited operation."""
    paths = DOCUMENT["paths"]
    limited = [each for each in ENDPOINTS if each.limit and each.media_type == "application/json"]
    for endpoint in limited:
        responses = paths[endpoint.path][endpoint.method.lower()]["responses"]
        described = responses[str(endpoint.status)]["headers"]
        assert {"RateLimit", "RateLimit-Policy"} <= set(described), endpoint.operation_id
        assert "429" in responses
    assert len(limited) > 3
