"""The WebSocket of the live feed: actions, errors, hostile clients."""

import asyncio
import json
import struct
from pathlib import Path

import aiohttp
import httpx
import pytest
from nats.aio.client import Client

from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import JOB_PROGRESSED, BeatPreview, JobProgress
from k1_contracts.messages.catalogue.beats import BEAT_OVERRIDE_SAVE, BeatOverrideSaved, SaveBeatOverride
from k1_gateway.feed.event import pack_times
from k1_gateway.live.websocket.connection import MAX_BAD_MESSAGES, MESSAGE_RATE
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import ORIGIN, Owners
from services.gateway.tests.live.feed_clients import (
    API,
    Received,
    SocketConnection,
    Source,
    connected,
    websocket_url,
)
from services.gateway.tests.tokens import access_token, bearer
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S


@pytest.mark.parametrize("protocol", ["k1.json", "k1.msgpack"])
async def test_a_client_chooses_its_topics(
    gateway: RunningService, nats_client: Client, session: aiohttp.ClientSession, protocol: str
) -> None:
    """It subscribes, also from an id on, unsubscribes, pings; every answer has its reference."""
    one, two, received = Source(nats_client), Source(nats_client), Received()
    async with session.ws_connect(websocket_url(gateway), protocols=[protocol]) as ws:
        client = SocketConnection(ws)
        hello = await client.message()
        assert (hello["type"], hello["topics"], ws.protocol) == ("hello", [], protocol)
        await one.mixed(4)
        first = await client.ask(action="subscribe", topics=[one.topic], after=hello["id"], ref="a")
        assert first == {
            "type": "ack", "action": "subscribe", "ref": "a", "data": {"topics": [one.topic]},
        }  # fmt: skip
        while not received.has_all_of(one):
            received.add(await client.next())
        again = await client.ask(action="subscribe", topics=[two.topic], after=hello["id"], ref=7)
        assert (again["type"], again["ref"], again["code"]) == ("error", 7, "already_started")
        await client.ask(action="subscribe", topics=[two.topic])
        left = await client.ask(action="unsubscribe", topics=[one.topic])
        assert left["data"] == {"topics": [two.topic]}
        await one.event()
        sequence = await two.event()
        event = await client.next()
        assert event["id"].startswith(f"{sequence:012d}-")
        assert (await client.ask(action="ping", ref=1))["ref"] == 1
    assert (received.events, received.samples) == (one.events[:2], one.samples)


@pytest.mark.parametrize("protocol", ["k1.json", "k1.msgpack"])
async def test_a_client_saves_beats(
    gateway: RunningService, owners: Owners, session: aiohttp.ClientSession, protocol: str
) -> None:
    """The catalogue gets what POST would send, also from binary beats; its error comes back with its code."""
    golden = samples.GOLDEN / "BeatOverrideSaved" / "v1.json"
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, BeatOverrideSaved.model_validate_json(golden.read_text()))
    beats = [500.0, 1000.5, 1500.0]
    sent = pack_times(beats) if protocol == "k1.msgpack" else beats
    async with session.ws_connect(websocket_url(gateway), protocols=[protocol]) as ws:
        client = SocketConnection(ws)
        await client.message()
        order = {"action": "save_beats", "track_id": samples.TRACK, "version": 1, "beats_ms": sent}
        saved = await client.ask(**order, if_match=["e"], ref=1)
        assert (saved["type"], saved["data"]["status"]) == ("ack", "ready")
        owners.respond_with(BEAT_OVERRIDE_SAVE.subject, QueryError("override_changed", "Read it again.", 412))
        assert (await client.ask(**order))["code"] == "override_changed"
        assert (await client.ask(**order | {"version": 0}))["code"] == "invalid_message"
    assert owners.received[0] == SaveBeatOverride(
        track_id=samples.TRACK, version=1, beats_ms=beats, if_match=["e"]
    )


async def test_beats_are_binary_in_messagepack(gateway: RunningService, nats_client: Client) -> None:
    """They are float64, little-endian; in JSON they are numbers."""
    job, beats = new_id("job"), [0.5, 500.25, 1e6]
    progress = JobProgress(
        job_id=job, track_id=samples.TRACK, stage="beats", percent=4, at=samples.NOW,
        preview=BeatPreview(analysed_ms=1000, bpm=120, beat_grid_ms=beats),
    )  # fmt: skip
    async with (
        connected("msgpack", gateway.url, "jobs") as binary,
        connected("json", gateway.url, "jobs") as text,
    ):
        await nats_client.publish(JOB_PROGRESSED.subject_for(job), progress.to_json())
        packed = (await binary.next())["data"]["preview"]["beat_grid_ms"]
        assert packed == struct.pack("<3d", *beats)
        assert (await text.next())["data"]["preview"]["beat_grid_ms"] == beats


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "malformed_message"),
        ("[]", "malformed_message"),
        ("7", "malformed_message"),
        ("[" * 100_000, "malformed_message"),
        ("{}", "unknown_action"),
        ('{"action": 3}', "unknown_action"),
        ('{"action": "drop_tables"}', "unknown_action"),
        ('{"action": "subscribe"}', "invalid_message"),
        ('{"action": "subscribe", "topics": "jobs"}', "invalid_message"),
        ('{"action": "subscribe", "topics": ["everything"]}', "invalid_message"),
        ('{"action": "subscribe", "topics": ["jobs"], "after": "1"}', "invalid_message"),
        ('{"action": "subscribe", "topics": ["jobs"], "as": "root"}', "invalid_message"),
        ('{"action": "ping", "ref": {"a": 1}}', "invalid_message"),
    ],
)
async def test_a_wrong_message_gets_an_error(gateway: RunningService, message: str, code: str) -> None:
    """The connection goes on."""
    async with connected("json", gateway.url, "jobs") as client:
        await client.socket.send_str(message)
        answer = await client.message()
        assert (answer["type"], answer["code"]) == ("error", code)
        assert answer["detail"]
        assert (await client.ask(action="ping"))["type"] == "ack"


async def test_a_connection_has_at_most_200_topics(gateway: RunningService) -> None:
    async with connected("json", gateway.url, "jobs") as client:
        topics = [f"track:{new_id('trk')}" for _ in range(200)]
        assert (await client.ask(action="subscribe", topics=topics))["code"] == "too_many_topics"
        assert (await client.ask(action="subscribe", topics=topics[1:]))["type"] == "ack"


async def _close_code(client: SocketConnection) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        while (await client.socket.receive()).type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            pass
    return client.socket.close_code


async def test_a_hostile_client_is_closed(gateway: RunningService) -> None:
    """Binary garbage, a huge message, and one senseless message after another each have their code."""
    async with connected("json", gateway.url, "jobs") as client:
        await client.socket.send_bytes(b"\x00\xff" * 50)
        assert await _close_code(client) == 1003
    async with connected("json", gateway.url, "jobs") as client:
        await client.socket.send_str("x" * (1024 * 1024 + 1))
        assert await _close_code(client) == 1009
    async with connected("msgpack", gateway.url, "jobs") as client:
        for _ in range(21):
            await client.socket.send_bytes(b"\xc1")
        assert await _close_code(client) == 1008


async def test_a_flood_of_messages_is_stopped(gateway: RunningService) -> None:
    """Whatever they are: above the rate they are refused, and then the connection ends."""
    async with connected("json", gateway.url, "jobs") as client:
        count = MESSAGE_RATE.burst + 2 * MAX_BAD_MESSAGES
        for number in range(count):
            await client.socket.send_str(json.dumps({"action": "ping", "ref": number}))
        answers = [await client.message() for _ in range(MESSAGE_RATE.burst + MAX_BAD_MESSAGES)]
        refused = [each for each in answers if each["type"] == "error"]
        assert [each["ref"] for each in answers[: MESSAGE_RATE.burst]] == list(range(MESSAGE_RATE.burst))
        assert {each["code"] for each in refused} == {"rate_limited"}
        assert await _close_code(client) == 1008


async def test_saved_beats_take_from_the_allowance_of_edits(
    provisioned: Infrastructure, owners: Owners, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The same one as over HTTP; other messages go on."""
    golden = samples.GOLDEN / "BeatOverrideSaved" / "v1.json"
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, BeatOverrideSaved.model_validate_json(golden.read_text()))
    few = '{"per_minute": 1, "burst": 2, "at_once": 4}'
    own = {"K1_AUTH": "on", "K1_GATEWAY_LIMIT_EDITS": few, "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "1"}
    headers = bearer(access_token("editor", sub=new_id("usr")))
    order = {"track_id": samples.TRACK, "version": 1, "beats_ms": [0.0, 500.0]}
    with running_service("gateway", provisioned.environment | own, tmp_path) as running:
        url = f"{running.url}{API}/tracks/{samples.TRACK}/versions/1/beat-override"
        async with (
            httpx.AsyncClient(headers=headers) as http,
            session.ws_connect(websocket_url(running), headers=headers) as ws,
        ):
            client = SocketConnection(ws)
            over_http = await http.post(url, json={"beats_ms": order["beats_ms"]})
            answers = [await client.ask(action="save_beats", **order) for _ in range(2)]
            ping = await client.ask(action="ping")
    assert (over_http.status_code, answers[0]["type"], answers[1].get("code")) == (201, "ack", "rate_limited")
    assert ping["type"] == "ack"


@pytest.mark.parametrize("protocol", ["json", "msgpack"])
async def test_events_and_answers_never_mix(
    gateway: RunningService, nats_client: Client, protocol: str
) -> None:
    """Events of all sizes come whole and in order, between the answers that the client asks for at the same time."""
    source, received, count = Source(nats_client), Received(), 300
    asked = MESSAGE_RATE.burst
    async with connected(protocol, gateway.url, source.topic) as client:
        sending = asyncio.gather(
            *(
                source.event("x" * (number * 300)) if number % 3 else source.sample()
                for number in range(count)
            )
        )
        for ref in range(asked):
            await client.ask_later(action="ping", ref=ref)
        answers: list[int] = []
        while len(answers) < asked or len(received.ids) < count:
            message = await client.message()
            if message["type"] == "ack":
                answers.append(message["ref"])
            else:
                received.add(message, check=False)
        await sending
    assert answers == list(range(asked))
    assert (received.events, received.samples) == (sorted(source.events), sorted(source.samples))
    assert received.ids == sorted(received.ids)


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 101), ("own", 101), (ORIGIN, 101), ("http://evil.example", 403), ("null", 403)],
)
async def test_a_page_of_another_origin_cannot_listen(
    gateway: RunningService, session: aiohttp.ClientSession, origin: str | None, status: int
) -> None:
    """Browsers let every page open a WebSocket anywhere, with the user's cookies, so its origin decides."""
    headers = {} if origin is None else {"Origin": gateway.url if origin == "own" else origin}
    if status == 101:
        async with session.ws_connect(websocket_url(gateway), headers=headers) as ws:
            assert (await ws.receive_json())["type"] == "hello"
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(websocket_url(gateway), headers=headers)
    assert refused.value.status == status


async def test_a_plain_request_is_told_to_upgrade(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{API}/ws")
    assert (response.status_code, response.json()["code"]) == (426, "upgrade_required")
    assert response.headers["Upgrade"] == "websocket"
    wrong = await http.get(f"{API}/ws", params={"last_event_id": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_parameter")
