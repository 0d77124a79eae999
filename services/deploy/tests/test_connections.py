"""A credential that two use is noticed, on a real server: over NATS, over MQTT, and without false alarms."""

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

from k1_cli.embedded.nats import NatsServer
from k1_contracts import subjects
from k1_contracts.messages.device_link import DeviceError
from k1_contracts.messages.devices import DeviceCredential
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_deploy.devices import connection_watch, connections
from k1_deploy.devices.connection_watch import ConnectionWatch
from k1_deploy.devices.connections import (
    CONNECTS,
    MOST_CONNECTIONS,
    TAKEOVERS,
    TAKEOVERS_WITHIN,
    Connection,
    ConnectionTable,
)
from k1_platform.broker import Bus, broker_options
from k1_platform.device_credentials import load_device_keys
from k1_platform.device_errors import DeviceErrors
from k1_platform.nats_connection import connect_options
from services.deploy.tests.links import of, over_mqtt, over_nats, provision_server, settle, until
from tests.support.nats_server import running_nats_server

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def connection(number: int, at: datetime = NOW, device: str = "a", **more: str) -> Connection:
    return Connection("s", number, device, f"U{device}", f"10.0.0.{number}", at, **more)


def reasons(changes: list[DeviceAlarm]) -> list[tuple[str, str, str]]:
    return [(alarm.device_id, alarm.state, alarm.level) for alarm in changes]


def test_a_connection_that_was_lost_is_no_second_one() -> None:
    """The server still has the old one, on which nothing comes in: no alarm, however long it stays."""
    table = ConnectionTable()
    table.connected(connection(1))
    table.connected(connection(2, NOW + 5 * SECOND))
    [both] = table.several()
    for later, came_in in ((5, 7), (6, 9), (7, 9), (3600, 9)):  # two messages were still on their way
        table.saw_messages(both, {("s", 1): came_in, ("s", 2): 100 * later}, NOW + later * SECOND)
    assert table.changes(NOW + 3600 * SECOND) == []


def test_two_live_connections_are_an_alarm_until_one_ends() -> None:
    """Raised once, with both addresses; cleared when one is left."""
    table = ConnectionTable()
    table.connected(connection(1))
    table.connected(connection(2, NOW + 5 * SECOND))
    for later in (7, 8, 9):
        table.saw_messages(table.several()[0], {("s", 1): 10 * later}, NOW + later * SECOND)
    [raised] = table.changes(NOW + 9 * SECOND)
    assert (raised.device_id, raised.kind, raised.level, raised.state) == (
        "a",
        "credential",
        "alert",
        "raised",
    )
    assert "10.0.0.1" in raised.reason
    assert "10.0.0.2" in raised.reason
    assert table.alarm("a") == raised
    assert table.changes(NOW + 10 * SECOND) == []
    table.disconnected(("s", 2), NOW + 11 * SECOND, taken_over=False)
    assert reasons(table.changes(NOW + 11 * SECOND)) == [("a", "cleared", "alert")]
    assert table.alarm("a") is None


def test_one_takeover_is_a_lost_network_and_several_are_two_clients() -> None:
    """A device that comes back takes its own session over once; two that take turns are an alarm until they stop."""
    table = ConnectionTable()
    for number in range(TAKEOVERS):
        table.connected(connection(number))
        assert table.changes(NOW) == []
        table.disconnected(("s", number), NOW + number * SECOND, taken_over=True)
    assert reasons(table.changes(NOW + 3 * SECOND)) == [("a", "raised", "alert")]
    assert table.changes(NOW + TAKEOVERS_WITHIN) == []
    end = NOW + TAKEOVERS_WITHIN + TAKEOVERS * SECOND
    assert reasons(table.changes(end)) == [("a", "cleared", "alert")]


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
    assert reasons(table.changes(NOW + CONNECTS * SECOND)) == [("a", "raised", "alert")]
    assert reasons(table.changes(last)) == [("a", "cleared", "alert")]


def test_a_client_id_that_is_not_the_credentials() -> None:
    """Amber: the device works, but another may take its place."""
    table = ConnectionTable()
    table.connected(connection(1, client_id="a", expected_client_id="secret"))
    table.connected(connection(2, device="b", client_id="secret", expected_client_id="secret"))
    assert reasons(table.changes(NOW)) == [("a", "raised", "amber")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats_server(tmp_path_factory.mktemp("home")) as running:
        asyncio.run(provision_server(running))
        yield running


class Told:
    """What the bus was told."""

    def __init__(self) -> None:
        self.alarms: list[DeviceAlarm] = []
        self.errors: list[DeviceError] = []

    async def take(self, message: Msg) -> None:
        if message.subject == subjects.DEVICE_ALARM:
            self.alarms.append(DeviceAlarm.model_validate_json(message.data))
        else:
            self.errors.append(DeviceError.model_validate_json(message.data))

    def states(self, device_id: str) -> list[tuple[str, str]]:
        return [(alarm.state, alarm.level) for alarm in self.alarms if alarm.device_id == device_id]


@pytest.fixture
async def told(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """While connections are watched."""
    monkeypatch.setattr(connection_watch, "LOOK_EVERY_S", 0.05)
    told = Told()
    async with NatsBroker(**broker_options(server.settings), logger=None) as broker:
        client = await broker.connect()
        for subject in (subjects.DEVICE_ALARM, "command.*.error"):
            await client.subscribe(subject, cb=told.take)
        await settle(client)
        bus = Bus(broker, client, client.jetstream())
        watch = ConnectionWatch(server.url, load_device_keys(server.keys.deploy), bus, DeviceErrors(client))
        task = asyncio.create_task(watch.run())
        await until(lambda: watch._listed_at_s > 0, "the watch has begun")
        yield told
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def keep_talking(client: Client) -> None:
    with suppress(Exception):
        while True:
            await client.publish("telemetry.twice", b"{}")
            await asyncio.sleep(0.05)


async def test_a_second_connection_over_nats(server: NatsServer, told: Told, tmp_path: Path) -> None:
    """Both talk: an alarm on the stream and an error to the device; one leaves: it is cleared."""
    credential = of(server).mint("twice", "nats").credential
    async with over_nats(server, credential, tmp_path) as first:
        talking = asyncio.create_task(keep_talking(first.client))
        async with over_nats(server, credential, tmp_path):
            await until(lambda: told.states("twice") == [("raised", "alert")], "it is noticed")
            await until(
                lambda: any(e.code == "credential_shared" for e in told.errors), "the device gets an error"
            )
        await until(lambda: told.states("twice")[1:] == [("cleared", "alert")], "it is over")
        talking.cancel()


async def test_an_mqtt_session_is_taken_over(
    server: NatsServer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another client with the same credential and client id: the server cuts the first off and says why.

    One takeover must do here, as the server holds the clients back for a second after each.
    """
    monkeypatch.setattr(connections, "TAKEOVERS", 1)
    credential = of(server).mint("turns", "mqtt").credential
    first, second = (over_mqtt(server, credential, credential.client_id) for _ in range(2))
    with suppress(aiomqtt.MqttError):
        async with first, second:
            with pytest.raises(aiomqtt.MqttError):
                await anext(aiter(first.messages))
            await until(lambda: told.states("turns") == [("raised", "alert")], "it is noticed")


async def test_a_guessable_mqtt_client_id(server: NatsServer, told: Told) -> None:
    """The device's id as client id is an alarm and an error; the client id of the credential file is none."""
    wrong, right = (of(server).mint(name, "mqtt").credential for name in ("wrong", "right"))
    async with over_mqtt(server, right, right.client_id), over_mqtt(server, wrong, "wrong"):
        await until(lambda: told.states("wrong") == [("raised", "amber")], "it is noticed")
        await until(lambda: any(e.code == "client_id" for e in told.errors), "the device gets an error")
    await until(lambda: told.states("wrong")[1:] == [("cleared", "amber")], "it is over")
    assert told.states("right") == []


async def test_a_credential_has_only_so_many_connections(
    server: NatsServer, told: Told, tmp_path: Path
) -> None:
    """The oldest beyond are cut off; those of other devices stay."""
    a, b = (of(server).mint(name, "nats").credential for name in ("many", "one"))

    async def connect(credential: DeviceCredential, name: str) -> Client:
        file = tmp_path / name
        file.write_text(credential.secret)
        settings = server.settings.model_copy(update={"creds": file})
        return await nats.connect(**connect_options(settings), allow_reconnect=False)

    other = await connect(b, "b")
    clients = [await connect(a, "a") for _ in range(MOST_CONNECTIONS + 3)]
    await until(lambda: sum(c.is_connected for c in clients) == MOST_CONNECTIONS, "the oldest are cut off")
    assert [c.is_connected for c in clients[:3]] == [False] * 3
    assert other.is_connected
    for client in itertools.chain(clients, [other]):
        await client.close()
