"""The live feed of real gateways: the same over every way, and nothing is missed, whatever breaks."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from k1_cli.stack.embedded.servers.nats import NatsServer
from services.gateway.tests.live.feed_clients import (
    API,
    PollConnection,
    Received,
    Source,
    SseConnection,
    connected,
)
from tests.support.bus import connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

WAYS = ["sse", "poll", "json", "msgpack"]


@pytest.fixture(scope="module")
def other_gateway(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Run another gateway on the same broker."""
    with running_service("gateway", provisioned.environment, tmp_path_factory.mktemp("other")) as running:
        yield running


async def receive(connection: object, source: Source, received: Received, at_most: int = 10**6) -> None:
    """Receive until everything is there, or so many events."""
    while at_most and not received.has_all_of(source):
        received.add(await connection.next())  # type: ignore[attr-defined]
        at_most -= 1


async def test_every_way_gives_the_same(gateway: RunningService, nats_client: Client) -> None:
    """Ids, order and content are the same; the ids are the sequences of what was published, and sort."""
    source = Source(nats_client)
    async with (
        connected("sse", gateway.url, source.topic) as sse,
        connected("poll", gateway.url, source.topic) as poll,
        connected("json", gateway.url, source.topic) as json_socket,
        connected("msgpack", gateway.url, source.topic) as msgpack_socket,
    ):
        await source.mixed(30)
        await Source(nats_client).mixed(5)  # of another track
        alls = []
        for connection in (sse, poll, json_socket, msgpack_socket):
            events, received = [], Received()
            while not received.has_all_of(source):
                events.append(await connection.next())
                received.add(events[-1])
            assert (received.events, received.samples) == (source.events, source.samples)
            assert received.ids == sorted(received.ids)
            alls.append(events)
    assert alls[0] == alls[1] == alls[2] == alls[3]
    assert {event["topic"] for event in alls[0]} == {source.topic, "device:k1-a"}


Cut = st.tuples(st.sampled_from(WAYS), st.booleans(), st.integers(0, 5), st.integers(0, 7))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(Cut, min_size=2, max_size=5))
async def test_a_client_that_is_away_misses_nothing(
    gateway: RunningService,
    other_gateway: RunningService,
    provisioned: Infrastructure,
    cuts: list[tuple[str, bool, int, int]],
) -> None:
    """It comes back with its last id at any gateway over any way, after having read any part of what there was."""
    urls = {True: gateway.url, False: other_gateway.url}
    async with connected_client() as client:
        source, received = Source(client), Received()
        async with connected("sse", gateway.url, source.topic) as begin:
            await source.mixed(2)
            await receive(begin, source, received)
        for way, which, while_there, reads in cuts:
            await source.mixed(3)  # while it is away
            async with connected(way, urls[which], source.topic, received.ids[-1]) as connection:
                await source.mixed(while_there)
                await receive(connection, source, received, at_most=reads)
        async with connected("sse", gateway.url, source.topic, received.ids[-1]) as connection:
            await receive(connection, source, received)
    assert (received.events, received.samples) == (source.events, source.samples)
    assert received.ids == sorted(received.ids)


async def test_a_killed_gateway_loses_nothing(
    gateway: RunningService, provisioned: Infrastructure, nats_client: Client, tmp_path: Path
) -> None:
    """After kill -9 in the middle of the events the client goes on elsewhere, and at a new gateway."""
    source, received = Source(nats_client), Received()
    with running_service("gateway", provisioned.environment, tmp_path) as doomed:
        with suppress(httpx.HTTPError, AssertionError, OSError):
            async with connected("json", doomed.url, source.topic) as connection:
                await source.mixed(6)
                received.add(await connection.next())
                doomed.process.kill()
                await source.mixed(6)
                await receive(connection, source, received)
        assert not received.has_all_of(source)
    async with connected("json", gateway.url, source.topic, received.ids[-1]) as connection:
        await receive(connection, source, received, at_most=3)
    with running_service("gateway", provisioned.environment, tmp_path) as fresh:
        async with connected("json", fresh.url, source.topic, received.ids[-1]) as connection:
            await source.mixed(3)
            await receive(connection, source, received)
    assert (received.events, received.samples) == (source.events, source.samples)


async def test_a_restarted_broker_loses_nothing(
    provisioned: Infrastructure, own_nats: NatsServer, tmp_path: Path
) -> None:
    """After a kill -9 of the broker the open connection goes on, with what was stored in the meantime."""
    environment = provisioned.environment | {
        "K1_NATS_URL": own_nats.settings.url,
        "K1_NATS_CREDS": str(own_nats.settings.creds),
    }
    with running_service("gateway", environment, tmp_path) as running:
        async with connected_client(own_nats.settings) as client:
            source, received = Source(client), Received()
            connection = connected("sse", running.url, source.topic)
            sse = await connection.__aenter__()
            await source.mixed(4)
            await receive(sse, source, received)
        own_nats.kill()
        await asyncio.to_thread(own_nats.start)
        async with connected_client(own_nats.settings) as client:
            source.client = client
            await source.mixed(4)
            await receive(sse, source, received)
        await connection.__aexit__(None, None, None)
    assert (received.events, received.samples) == (source.events, source.samples)


async def test_an_unknown_id_is_a_gap(gateway: RunningService, nats_client: Client) -> None:
    """The client is told to read everything again, and goes on with what comes now."""
    source = Source(nats_client)
    unknown = "999999999999-999999999999"
    async with connected("sse", gateway.url, source.topic, unknown) as connection:
        gaps = [await connection.next(), await connection.next()]
        assert [gap["type"] for gap in gaps] == ["gap", "gap"]
        assert [gap["data"] for gap in gaps] == [
            {"missed": missed, "after": unknown} for missed in ("events", "samples")
        ]
        sequence = await source.event()
        received = Received()
        received.add(await connection.next())
        assert received.events == [sequence]


@pytest.mark.parametrize(
    "params",
    [
        {"last_event_id": "yesterday"},
        {"last_event_id": "12"},
        {"topics": "everything"},
        {"topics": "track:1"},
        {"topics": ""},
        {"topics": ",".join(["jobs"] * 201)},
        {"topic": "jobs"},
    ],
)
@pytest.mark.parametrize("path", ["stream", "poll"])
async def test_wrong_parameters_are_problems(
    http: httpx.AsyncClient, params: dict[str, str], path: str
) -> None:
    renamed = {
        ("after" if name == "last_event_id" and path == "poll" else name): v for name, v in params.items()
    }
    response = await http.get(f"{API}/events/{path}", params=renamed)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")


async def test_the_header_of_an_event_source_resumes(http: httpx.AsyncClient, nats_client: Client) -> None:
    """An EventSource sends `Last-Event-ID`; its first block says after how long to come back."""
    source, received = Source(nats_client), Received()
    async with connected("sse", str(http.base_url), source.topic) as connection:
        await source.mixed(1)
        await receive(connection, source, received)
    await source.mixed(4)
    url, params = f"{API}/events/stream", {"topics": source.topic}
    async with http.stream(
        "GET", url, params=params, headers={"Last-Event-ID": received.ids[-1]}
    ) as response:
        sse = SseConnection(response)
        assert await sse.block() == {"comment": "connected", "retry": "2000"}
        await receive(sse, source, received)
    assert (received.events, received.samples) == (source.events, source.samples)
    assert (await http.head(url)).status_code == 200


async def test_a_poll_waits_and_moves_its_id(http: httpx.AsyncClient, nats_client: Client) -> None:
    """Without an event it answers at its time, with an id that has passed the events of other topics."""
    source = Source(nats_client)
    poll = PollConnection(http, source.topic, None)
    first = (await poll.poll()).json()
    await Source(nats_client).event()
    waiting = asyncio.create_task(poll.poll(timeout_s=60))
    await source.event()
    assert len((await waiting).json()["events"]) == 1
    async with asyncio.timeout(PATIENCE_S):
        while (second := (await poll.poll(timeout_s=0)).json())["last_id"] == first["last_id"]:
            pass
    assert second["events"] == []
    assert second["last_id"] > first["last_id"]


async def test_a_stopping_gateway_ends_its_streams(
    provisioned: Infrastructure, nats_client: Client, tmp_path: Path
) -> None:
    """Each client is told, and comes back with its last id."""
    with running_service("gateway", provisioned.environment, tmp_path) as leaving:
        async with (
            connected("sse", leaving.url, "activity") as sse,
            connected("json", leaving.url, "activity") as socket,
        ):
            leaving.process.terminate()
            for connection in (sse, socket):
                while (event := await connection.next())["type"] != "closing":
                    pass
                assert event["data"] == {"reason": "gateway_stops"}
            await socket.socket.receive(PATIENCE_S)
            assert socket.socket.close_code == 1001
        assert await asyncio.to_thread(leaving.process.wait, PATIENCE_S) == 0
