"""Several gateways share the allowance of a user."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.catalogue.tracks import TRACK_LIST
from k1_gateway.limits.gcra import Rate
from k1_gateway.limits.shared_rates import _ALONE_S, SharedRates
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.tokens import access_token, bearer
from tests.support.bus import connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def pair(provisioned: Infrastructure, tmp_path: Any) -> Iterator[list[RunningService]]:
    """Run two gateways with a small allowance, on one bus."""
    own = {
        "K1_AUTH": "on",
        "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "1",
        "K1_GATEWAY_LIMIT_READS": '{"per_minute": 1, "burst": 40, "at_once": 4}',
    }
    environment = provisioned.environment | own
    with (
        running_service("gateway", environment, tmp_path) as first,
        running_service("gateway", environment, tmp_path) as second,
    ):
        yield [first, second]


async def test_two_gateways_share_one_allowance(pair: list[RunningService], owners: Owners) -> None:
    """Together they admit the burst, less what one of them holds unused; another user is not affected."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    ann, bob = (bearer(access_token(sub=f"usr_{letter * 26}")) for letter in "AB")
    statuses: list[int] = []
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        for number in range(60):
            answer = await http.get(f"{pair[number % 2].url}/api/v1/tracks", headers=ann)
            statuses.append(answer.status_code)
        assert set(statuses) == {200, 429}
        chunk = 40 // 20
        assert 40 - (chunk - 1) <= statuses.count(200) <= 40 + 1, "one may be earned meanwhile"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit-Policy"] == '"reads";q=40;w=2400'
        for running in pair:
            assert (await http.get(f"{running.url}/api/v1/tracks", headers=bob)).status_code == 200


async def test_gateways_count_together_after_the_broker_restarted(own_nats: NatsServer) -> None:
    """What was used before still counts, and the counts are one again."""
    rate = Rate(per_minute=1, burst=3)
    async with connected_client(own_nats.settings) as client:
        assert (await SharedRates(client.jetstream()).take("a", rate, 2)).count == 2
    own_nats.kill()
    await asyncio.to_thread(own_nats.start)
    async with connected_client(own_nats.settings) as client:
        one, other = (SharedRates(client.jetstream()) for _ in range(2))
        assert [(await rates.take("a", rate, 1)).count for rates in (one, other)] == [1, 0]


async def test_without_the_broker_a_gateway_counts_alone(own_nats: NatsServer) -> None:
    """Requests are not refused because of it, and the next attempt to count together comes later."""

    async with connected_client(own_nats.settings, max_reconnect_attempts=-1) as client:
        rates = SharedRates(client.jetstream(timeout=1))
        rate = Rate(per_minute=1, burst=3)
        assert (await rates.take("a", rate, 2)).remaining == 1
        own_nats.kill()
        started = time.monotonic()
        granted = [(await rates.take("a", rate, 1)).count for _ in range(5)]
        assert granted == [1, 1, 1, 0, 0]
        assert time.monotonic() - started < _ALONE_S
