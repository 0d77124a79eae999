"""Credentials at a running gateway: bad ones, API keys, and what ends when access is revoked."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from k1_contracts.actors import Actor, Role
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.authentication import GetJwks
from k1_contracts.messages.accounts.users import (
    ACCESS_CHANGED,
    KEY_VERIFY,
    AccessChanged,
    VerifiedKey,
    VerifyKey,
)
from k1_contracts.messages.catalogue.tracks import TRACK_LIST
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.tokens import FOREIGN_KEY, USER, access_token, bearer
from tests.support.waiting import eventually

KEY = "k1_" + "a" * 40
KEY_ID = "key_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"


def verified_key(role: Role = "operator", cached_s: float = 30) -> VerifiedKey:
    actor = Actor(kind="key", id=USER, name="Ann", role=role)
    return VerifiedKey(
        key_id=KEY_ID, actor=actor, cache_until=datetime.now(UTC) + timedelta(seconds=cached_s)
    )


@pytest.mark.parametrize(
    "headers",
    [
        bearer(access_token(key=FOREIGN_KEY)),
        bearer(access_token(exp=time.time() - 60)),
        bearer("nonsense"),
        {"Authorization": "Basic YTpi"},
        {**bearer(access_token()), "X-API-Key": KEY},
        {"Cookie": "k1-access=nonsense"},
        {"Cookie": f"k1-access={access_token(key=FOREIGN_KEY)}"},
    ],
)
async def test_bad_credentials_are_refused(
    guest: httpx.AsyncClient, owners: Owners, headers: dict[str, str]
) -> None:
    """The challenge says that the token is at fault."""
    answer = await guest.get("/tracks", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "error=" in answer.headers["WWW-Authenticate"]
    assert owners.received in ([], [GetJwks()])


async def test_unknown_key_ids_do_not_reach_accounts_each_time(
    guest: httpx.AsyncClient, owners: Owners
) -> None:
    """Anyone can send them."""
    for number in range(20):
        token = access_token(header={"kid": f"other-{number}"})
        assert (await guest.get("/tracks", headers=bearer(token))).status_code == 401
    assert owners.received.count(GetJwks()) <= 2, "one for each 5 s"


async def test_a_key_is_verified_once_and_dropped_when_it_is_revoked(
    guest: httpx.AsyncClient, owners: Owners
) -> None:
    """In both headers; its role counts, and the very next request after the message of its revocation is refused."""
    owners.respond_with(KEY_VERIFY.subject, verified_key("viewer"))
    owners.respond_with(TRACK_LIST.subject, samples.page())
    for headers in (bearer(KEY), {"X-API-Key": KEY}, bearer(KEY)):
        assert (await guest.get("/tracks", headers=headers)).status_code == 200
    refused = await guest.post("/tracks/upload", headers=bearer(KEY))
    assert refused.json()["code"] == "role_required"
    asked = [each for each in owners.received if isinstance(each, VerifyKey)]
    assert [each.key for each in asked] == [KEY]
    assert owners.actors[-1] == verified_key("viewer").actor.model_copy(update={"address": "127.0.0.1"})

    owners.respond_with(KEY_VERIFY.subject, QueryError("key_invalid", "The key is not known.", 401))
    await announce(owners, key_ids=[KEY_ID])
    await eventually_refused(guest, bearer(KEY))


async def announce(owners: Owners, **change: Any) -> None:
    body = AccessChanged(user_id=USER, at=datetime.now(UTC), **change)
    await owners.bus.client.publish(ACCESS_CHANGED.subject_for(USER), body.to_json())
    await owners.bus.client.flush()


async def eventually_refused(guest: httpx.AsyncClient, headers: dict[str, str]) -> None:
    async def refused() -> bool:
        return (await guest.get("/tracks", headers=headers)).status_code == 401

    await eventually(refused, "the message has arrived", within_s=5)


async def test_accounts_that_is_away_is_no_bad_credential(guest: httpx.AsyncClient, owners: Owners) -> None:
    """503, so that a client tries again instead of signing in."""
    owners.respond_with(KEY_VERIFY.subject, QueryError("service_unavailable", "Try again.", 503))
    answer = await guest.get("/tracks", headers=bearer("k1_" + "b" * 40))
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


async def read_events(guest: httpx.AsyncClient, token: str, on_open: Any = None) -> list[str]:
    lines: list[str] = []
    path = f"/deployments/{samples.DEPLOYMENT}/events"
    async with guest.stream("GET", path, headers=bearer(token)) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            lines.append(line)
            if on_open is not None:
                await on_open()
                on_open = None
    return lines


async def test_a_stream_ends_with_the_session(guest: httpx.AsyncClient, owners: Owners) -> None:
    """At the end of its token, and at once when access is revoked; the last event says so and has no id."""
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="staging"))
    lines = await read_events(guest, access_token(exp=time.time() + 1))
    assert lines[0] == "event: deployment"
    assert lines[-3] == "event: session_ended"
    assert json.loads(lines[-2].removeprefix("data: "))["details"] == {"reason": "expired"}

    session = new_id("ses")
    lines = await read_events(
        guest, access_token(sid=session), lambda: announce(owners, session_ids=[session])
    )
    assert json.loads(lines[-2].removeprefix("data: "))["details"] == {"reason": "revoked"}
    await eventually_refused(guest, bearer(access_token(sid=session)))
