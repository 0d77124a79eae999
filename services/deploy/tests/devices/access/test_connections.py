"""Shared credentials are detected, on a real server: over NATS, over MQTT, and without false alarms."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import nats
import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.deploy.device_link import DeviceError
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_contracts.messages.telemetry import DEVICE_ALARM, DeviceAlarm
from k1_deploy.devices.access import connection_monitor, connection_table
from k1_deploy.devices.access.connection_monitor import ConnectionMonitor
from k1_deploy.devices.access.connection_table import (
    CONNECTS,
    MOST_CONNECTIONS,
    TAKEOVERS,
    TAKEOVERS_WITHIN,
    Connection,
    ConnectionTable,
)
from k1_platform.auth.device_credentials import load_device_keys
from k1_platform.nats.bus.client import Bus, broker_options
from k1_platform.nats.bus.connection import connect_options
from k1_platform.nats.device_errors import DeviceErrors
from k1_platform.processes.tasks import cancel_tasks
from services.deploy.tests.devices.access.device_connections import (
    issuer_for,
    over_mqtt,
    over_nats,
)
from tests.support.bus import flush
from tests.support.servers.nats_server import running_nats_server
from tests.support.waiting import eventually

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def connection(number: int, at: datetime = NOW, device: str = "a", **more: str) -> Connection:
    return Connection("s", number, device, f"U{device}", f"10.0.0.{number}", at, **more)


def reasons(changes: list[DeviceAlarm]) -> list[tuple[str, str, str]]:
    return [(alarm.device_id, alarm.state, alarm.level) for alarm in changes]


def test_a_lost_connection_does_not_count_as_a_second_one() -> None:
    """The server still has the old one, on which no messages arrive: no alarm, however long it stays."""
    table = ConnectionTable()
    table.connected(connection(1))
    table.connected(connection(2, NOW + 5 * SECOND))
    [both] = table.shared_credentials()
    for later, came_in in ((5, 7), (6, 9), (7, 9), (3600, 9)):  # two messages were still on their way
        table.record_message_counts(both, {("s", 1): came_in, ("s", 2): 100 * later}, NOW + later * SECOND)
    assert table.update_alarms(NOW + 3600 * SECOND) == []


def test_two_live_connections_are_an_alarm_until_one_ends() -> None:
    """Raised once, with both addresses; cleared when one is left."""
    table = ConnectionTable()
    table.connected(connection(1))
    table.connected(connection(2, NOW + 5 * SECOND))
    for later in (7, 8, 9):
        table.record_message_counts(
            table.shared_credentials()[0], {("s", 1): 10 * later}, NOW + later * SECOND
        )
    [raised] = table.update_alarms(NOW + 9 * SECOND)
    assert (raised.device_id, raised.kind, raised.level, raised.state) == (
        "a",
        "credential",
        "alert",
        "raised",
    )
    assert "10.0.0.1" in raised.reason
    assert "10.0.0.2" in raised.reason
    assert table.alarm_of("a") == raised
    assert table.update_alarms(NOW + 10 * SECOND) == []
    table.disconnected(("s", 2), NOW + 11 * SECOND, taken_over=False)
    assert reasons(table.update_alarms(NOW + 11 * SECOND)) == [("a", "cleared", "alert")]
    assert table.alarm_of("a") is None


def test_one_takeover_is_a_lost_network_and_several_are_two_clients() -> None:
    """A device that reconnects takes its session over once; two that do so in turn are an alarm until they stop."""
    table = ConnectionTable()
    for number in range(TAKEOVERS):
        table.connected(connection(number))
        assert table.update_alarms(NOW) == []
        table.disconnected(("s", number), NOW + number * SECOND, taken_over=True)
    assert reasons(table.update_alarms(NOW + 3 * SECOND)) == [("a", "raised", "alert")]
    assert table.update_alarms(NOW + TAKEOVERS_WITHIN) == []
    end = NOW + TAKEOVERS_WITHIN + TAKEOVERS * SECOND
    assert reasons(table.update_alarms(end)) == [("a", "cleared", "alert")]


def test_a_device_that_connects_again_and_again() -> None:
    """More than once a second for a minute: an alarm until it stops; once every two seconds is none."""
    table = ConnectionTable()
    for number in range(CONNECTS):
        for device, pause in (("a", 1), ("b", 2)):
            at = NOW + number * pause * SECOND
            one = replace(connection(number, at, device), server_id=device)
            table.connected(one)
            table.disconnected(one.key, at, taken_over=False)
    last = NOW + 2 * CONNECTS * SECOND
    assert reasons(table.update_alarms(NOW + CONNECTS * SECOND)) == [("a", "raised", "alert")]
    assert reasons(table.update_alarms(last)) == [("a", "cleared", "alert")]


def test_a_client_id_that_is_not_the_credentials() -> None:
    """Amber: the device works, but another could take its place."""
    table = ConnectionTable()
    table.connected(connection(1, client_id="a", expected_client_id="secret"))
    table.connected(connection(2, device="b", client_id="secret", expected_client_id="secret"))
    assert reasons(table.update_alarms(NOW)) == [("a", "raised", "amber")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats_server(tmp_path_factory.mktemp("home"), provisioned=True) as running:
        yield running


class MessageRecorder:
    """Records alarms and device errors."""

    def __init__(self) -> None:
        self.alarms: list[DeviceAlarm] = []
        self.errors: list[DeviceError] = []

    async def take(self, message: Msg) -> None:
        if message.subject == DEVICE_ALARM.subject:
            self.alarms.append(DeviceAlarm.model_validate_json(message.data))
        else:
            self.errors.append(DeviceError.model_validate_json(message.data))

    def states(self, device_id: str) -> list[tuple[str, str]]:
        return [(alarm.state, alarm.level) for alarm in self.alarms if alarm.device_id == device_id]


@pytest.fixture
async def recorder(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MessageRecorder]:
    """Record while a monitor runs."""
    monkeypatch.setattr(connection_monitor, "LOOK_EVERY_S", 0.05)
    recorder = MessageRecorder()
    async with NatsBroker(**broker_options(server.settings), logger=None) as broker:
        client = await broker.connect()
        for subject in (DEVICE_ALARM.subject, "command.*.error"):
            await client.subscribe(subject, cb=recorder.take)
        await flush(client)
        bus = Bus(broker, client, client.jetstream())
        watch = ConnectionMonitor(server.url, load_device_keys(server.keys.deploy), bus, DeviceErrors(client))
        task = asyncio.create_task(watch.run())
        await eventually(lambda: watch._listed_at_s > 0, "the watch has begun", interval_s=0.005)
        yield recorder
        await cancel_tasks([task])


async def publish_continuously(client: Client) -> None:
    with suppress(Exception):
        while True:
            await client.publish("telemetry.twice", b"{}")
            await asyncio.sleep(0.05)


async def test_a_second_connection_over_nats(
    server: NatsServer, recorder: MessageRecorder, tmp_path: Path
) -> None:
    """Both publish: an alarm on the stream and an error to the device; one disconnects: it is cleared."""
    credential = issuer_for(server).mint("twice", "nats").credential
    async with over_nats(server, credential, tmp_path) as first:
        publishing = asyncio.create_task(publish_continuously(first.client))
        async with over_nats(server, credential, tmp_path):
            await eventually(
                lambda: recorder.states("twice") == [("raised", "alert")], "it is noticed", interval_s=0.005
            )
            await eventually(
                lambda: any(e.code == "credential_shared" for e in recorder.errors),
                "the device gets an error",
                interval_s=0.005,
            )
        await eventually(
            lambda: recorder.states("twice")[1:] == [("cleared", "alert")], "it is over", interval_s=0.005
        )
        publishing.cancel()


async def test_an_mqtt_session_is_taken_over(
    server: NatsServer, recorder: MessageRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another client with the same credential and client id: the server closes the first and says why.

    One takeover must suffice here, because the server delays the clients for a second after each.
    """
    monkeypatch.setattr(connection_table, "TAKEOVERS", 1)
    credential = issuer_for(server).mint("turns", "mqtt").credential
    first, second = (over_mqtt(server, credential, credential.client_id) for _ in range(2))
    with suppress(aiomqtt.MqttError):
        async with first, second:
            with pytest.raises(aiomqtt.MqttError):
                await anext(aiter(first.messages))
            await eventually(
                lambda: recorder.states("turns") == [("raised", "alert")], "it is noticed", interval_s=0.005
            )


async def test_a_guessable_mqtt_client_id(server: NatsServer, recorder: MessageRecorder) -> None:
    """The device's id as client id is an alarm and an error; the client id of the credential file is none."""
    wrong, right = (issuer_for(server).mint(name, "mqtt").credential for name in ("wrong", "right"))
    async with over_mqtt(server, right, right.client_id), over_mqtt(server, wrong, "wrong"):
        await eventually(
            lambda: recorder.states("wrong") == [("raised", "amber")], "it is noticed", interval_s=0.005
        )
        await eventually(
            lambda: any(e.code == "client_id" for e in recorder.errors),
            "the device gets an error",
            interval_s=0.005,
        )
    await eventually(
        lambda: recorder.states("wrong")[1:] == [("cleared", "amber")], "it is over", interval_s=0.005
    )
    assert recorder.states("right") == []


async def test_connections_of_a_credential_are_limited(
    server: NatsServer, recorder: MessageRecorder, tmp_path: Path
) -> None:
    """The oldest beyond the limit are closed; those of other devices stay."""
    a, b = (issuer_for(server).mint(name, "nats").credential for name in ("many", "one"))

    async def connect(credential: DeviceCredential, name: str) -> Client:
        file = tmp_path / name
        file.write_text(credential.secret)
        settings = server.settings.model_copy(update={"creds": file})
        return await nats.connect(**connect_options(settings), allow_reconnect=False)

    other = await connect(b, "b")
    clients = [await connect(a, "a") for _ in range(MOST_CONNECTIONS + 3)]
    await eventually(
        lambda: sum(c.is_connected for c in clients) == MOST_CONNECTIONS,
        "the oldest are cut off",
        interval_s=0.005,
    )
    assert [c.is_connected for c in clients[:3]] == [False] * 3
    assert other.is_connected
    for client in itertools.chain(clients, [other]):
        await client.close()
