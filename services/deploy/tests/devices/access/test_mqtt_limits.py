"""What a device's credential can leave in the server, on a real one: nothing that lasts or grows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.deploy.device_link import DEVICE_MAX_SUBSCRIPTIONS
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_contracts.streams import DEVICE_MESSAGE_MAX_BYTES
from k1_platform.nats.administration import mqtt_state
from k1_platform.nats.administration.provision import provision_bus
from services.deploy.tests.devices.access.device_connections import (
    issuer_for,
    over_mqtt,
    over_nats,
)
from tests.support.bus import connected_client, flush
from tests.support.servers.nats_server import running_nats_server
from tests.support.waiting import PATIENCE_S, eventually

SESSIONS = 30
"""Of the attack; without limits each leaves two consumers and a record forever."""
REFUSED = 0x80


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A separate server, because these tests look at everything that is stored."""
    with running_nats_server(tmp_path) as running:
        yield running


@pytest.fixture
async def services(server: NatsServer) -> AsyncIterator[Client]:
    async with connected_client(server.settings) as client:
        yield client


def session(
    server: NatsServer, credential: DeviceCredential, client_id: str, *, clean: bool = False
) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", server.port_named("mqtt"), username=credential.user, password=credential.secret,
        identifier=client_id, clean_session=clean, timeout=PATIENCE_S,
    )  # fmt: skip


async def leave_sessions(server: NatsServer, credential: DeviceCredential, qos: int, name: str) -> list[int]:
    """Connect again and again under another client id with a session that stays; returns what was granted."""
    granted: list[int] = []
    for number in range(SESSIONS):
        async with session(server, credential, f"{name}-{number}") as device:
            [answer] = await device.subscribe(f"command/{credential.device_id}/#", qos)
            granted.append(answer if isinstance(answer, int) else answer.value)
    return granted


async def ends_the_connection(device: aiomqtt.Client, topic: str, body: bytes, qos: int) -> None:
    """Publish, and see the connection end."""
    with pytest.raises(aiomqtt.MqttError):
        async with device:
            publishing = asyncio.create_task(device.publish(topic, body, qos))
            try:
                await anext(aiter(device.messages))
            finally:
                publishing.cancel()


async def consumers(jetstream: JetStreamContext) -> dict[str, int]:
    """Consumers of the streams of MQTT that devices could add to."""
    return {
        name: len(
            [info for info in await jetstream.consumers_info(name) if info.name != mqtt_state.PLACEHOLDER]
        )
        for name in ("$MQTT_msgs", "$MQTT_out")
    }


async def test_an_older_server_is_cleaned_and_limited(server: NatsServer, services: Client) -> None:
    """The attack leaves consumers on an unprovisioned server; provisioning deletes them and ends the attack."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    attacker = issuer_for(server).mint("A", "mqtt").credential
    assert set(await leave_sessions(server, attacker, 1, "before")) == {1}
    async with over_mqtt(server, attacker) as device:
        await device.publish("device/A/hello", b"{}", 1, retain=True)
    assert (await jetstream.stream_info("$MQTT_rmsgs")).state.messages == 1
    assert (await consumers(jetstream))["$MQTT_msgs"] == 2 * SESSIONS
    await provision_bus(jetstream)
    assert await consumers(jetstream) == {"$MQTT_msgs": 0, "$MQTT_out": 0}
    assert (await jetstream.stream_info("$MQTT_rmsgs")).state.messages == 0
    for qos in (1, 2):
        assert set(await leave_sessions(server, attacker, qos, f"qos{qos}")) == {REFUSED}
    assert await consumers(jetstream) == {"$MQTT_msgs": 0, "$MQTT_out": 0}
    async with over_mqtt(server, attacker) as device:
        [granted] = await device.subscribe("command/A/#")
        assert getattr(granted, "value", granted) == 0


async def test_session_records_have_an_end(server: NatsServer, services: Client) -> None:
    """The newest ones stay, and devices still connect when the maximum is reached."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    config = (await jetstream.stream_info("$MQTT_sess")).config
    assert (config.max_msgs, config.max_age) == (mqtt_state.MOST_SESSIONS, 24 * 3600)
    await jetstream.update_stream(
        StreamConfig(name="$MQTT_sess", subjects=config.subjects, max_msgs_per_subject=1, max_msgs=10)
    )
    attacker, other = (issuer_for(server).mint(name, "mqtt").credential for name in "AB")
    await leave_sessions(server, attacker, 0, "many")
    assert (await jetstream.stream_info("$MQTT_sess")).state.messages == 10
    async with over_mqtt(server, other) as device:
        await device.subscribe("command/B/#")
        await services.publish("command.B.ping", b"there")
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(device.messages))).payload == b"there"
    await provision_bus(jetstream)


async def test_sessions_of_a_revoked_device_are_purged(server: NatsServer, services: Client) -> None:
    """Those of others stay."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    await jetstream.purge_stream("$MQTT_sess")
    a, b = (issuer_for(server).mint(name, "mqtt").credential for name in "AB")
    await leave_sessions(server, a, 0, "purged")
    async with session(server, b, "of-b") as device:
        await device.subscribe("command/B/#")
    assert await mqtt_state.purge_sessions(jetstream, ["A"]) == SESSIONS
    assert (await jetstream.stream_info("$MQTT_sess")).state.messages == 1


async def test_sessions_without_subscriptions_are_purged_too(
    server: NatsServer, services: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused subscriptions leave records that name no device; a new one may still subscribe, and stays."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    await leave_sessions(server, issuer_for(server).mint("A", "mqtt").credential, 1, "refused")
    assert await mqtt_state.purge_sessions(jetstream, ["B"]) == 0
    monkeypatch.setattr(mqtt_state, "_SUBSCRIBES_WITHIN", timedelta(0))
    assert await mqtt_state.purge_sessions(jetstream, ["B"]) == SESSIONS


async def test_nothing_is_retained_or_queued(server: NatsServer, services: Client) -> None:
    """A retained message and one of QoS 1 are delivered and not kept; one of QoS 2 ends the connection."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    credential = issuer_for(server).mint("A", "mqtt").credential
    seen = await services.subscribe("device.A.hello")
    await flush(services)
    async with over_mqtt(server, credential) as device:
        for qos, retain in ((0, True), (1, True), (1, False)):
            await device.publish("device/A/hello", b"{}", qos, retain=retain)
            assert (await seen.next_msg(PATIENCE_S)).data == b"{}"
    await ends_the_connection(over_mqtt(server, credential), "device/A/hello", b"{}", 2)
    for stream in ("$MQTT_rmsgs", "$MQTT_msgs", "$MQTT_qos2in", "$MQTT_out"):
        assert (await jetstream.stream_info(stream)).state.messages == 0, stream
    await seen.unsubscribe()


async def test_a_message_and_subscriptions_have_limits(
    server: NatsServer, services: Client, tmp_path: Path
) -> None:
    """Over NATS the server refuses a longer message and a further subscription; over MQTT none longer is stored."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    a = issuer_for(server).mint("A", "nats").credential
    seen = await services.subscribe("telemetry.*")
    await flush(services)
    longest = b"9" * DEVICE_MESSAGE_MAX_BYTES
    async with over_nats(server, a, tmp_path) as link:
        await link.client.publish("telemetry.A", longest)
        assert len((await seen.next_msg(PATIENCE_S)).data) == len(longest)
        for number in range(DEVICE_MAX_SUBSCRIPTIONS + 1):
            await link.client.subscribe(f"command.A.{number}")
        await eventually(link.closed.is_set, "the server ends the connection", interval_s=0.005)
    b = issuer_for(server).mint("B", "mqtt").credential
    last = (await jetstream.stream_info("TELEMETRY")).state.last_seq
    async with over_mqtt(server, b) as device:
        for body in (longest + b"9", b"{}"):
            await device.publish("telemetry/B", body)
            assert (await seen.next_msg(PATIENCE_S)).data == body

    async def next_sequence() -> int | None:
        seq = (await jetstream.stream_info("TELEMETRY")).state.last_seq
        return None if seq == last else seq

    assert await eventually(next_sequence, "the shorter message is stored", interval_s=0.005) == last + 1
    await seen.unsubscribe()


async def test_one_device_does_not_push_out_the_others(
    server: NatsServer, services: Client, tmp_path: Path
) -> None:
    """The streams of devices keep so many messages of each subject, and none longer than a device may send."""
    jetstream = services.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    for stream, share in (("DEVICES", 0.02), ("TELEMETRY", 0.4)):
        config = (await jetstream.stream_info(stream)).config
        assert config.max_msg_size == DEVICE_MESSAGE_MAX_BYTES
        assert config.max_msgs_per_subject is not None
        assert config.max_bytes is not None
        assert 0 < config.max_msgs_per_subject * config.max_msg_size <= share * config.max_bytes
    a, b = (issuer_for(server).mint(name, "nats").credential for name in "AB")
    async with over_nats(server, b, tmp_path) as quiet:
        await quiet.client.publish("device.B.hello", b"{}")
        await flush(quiet.client)
    async with over_nats(server, a, tmp_path) as loud:
        for _ in range(100):
            await loud.client.publish("device.A.hello", b"{}")
        await flush(loud.client)

    async def all_are_stored() -> bool:
        return (await jetstream.stream_info("DEVICES")).state.last_seq >= 101

    await eventually(all_are_stored, "every hello is stored", interval_s=0.005)
    state = (await jetstream.stream_info("DEVICES", subjects_filter="device.*.hello")).state
    assert state.subjects == {"device.A.hello": 16, "device.B.hello": 1}
