"""Hellos of devices: stored, or refused with a reason."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.msg import Msg

from k1_contracts.messages.deploy.device_link import DeviceError, DeviceHello, RunningBundle
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.inventory import Inventory
from k1_platform.errors import PermanentError
from k1_platform.nats.device_errors import DeviceErrors
from k1_platform.postgres.pool import Connection, Pool
from services.deploy.tests.scripted_device import bundle, hello

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Delivery:
    """A message as the subscriber gets it."""

    def __init__(self, subject: str, data: bytes, at: datetime = NOW) -> None:
        reply = f"$JS.ACK.DEVICES.deploy-devices.1.7.7.{int(at.timestamp() * 1e9)}.0"
        unused: Any = None
        self.raw_message = Msg(_client=unused, subject=subject, reply=reply, data=data)


def delivery(data: bytes, subject: str = "device.a.hello", at: datetime = NOW) -> Any:
    return Delivery(subject, data, at)


def said(body: DeviceHello, at: datetime = NOW, subject: str | None = None) -> Any:
    return delivery(body.to_json(), subject or f"device.{body.id}.hello", at)


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        await device_store.upsert_devices(connection, ["a", "b", "c"], "nats", "stage", NOW)
        yield connection


@pytest.fixture
def received() -> list[tuple[DeviceRow, DeviceHello]]:
    return []


class RecordingClient:
    """The connection to the devices: records the errors that were published."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, DeviceError]] = []

    async def publish(self, subject: str, payload: bytes) -> None:
        self.errors.append((subject, DeviceError.model_validate_json(payload)))


@pytest.fixture
def devices_link() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def inventory(
    pool: Pool, received: list[tuple[DeviceRow, DeviceHello]], devices_link: RecordingClient
) -> Inventory:
    async def on_hello(device: DeviceRow, hello: DeviceHello) -> None:
        received.append((device, hello))

    client: Any = devices_link
    return Inventory(pool, DeviceErrors(client), on_hello)


async def row(connection: Connection, device_id: str = "a") -> DeviceRow:
    return (await device_store.get_devices(connection, [device_id]))[device_id]


async def test_the_first_hello_sets_the_desired_state(
    inventory: Inventory, connection: Connection, received: list[tuple[DeviceRow, DeviceHello]]
) -> None:
    """The first hello sets the desired state; a later one does not."""
    assert (await row(connection)).expected_known is False
    await inventory.handle_hello(said(hello("a", active=bundle(1))))
    first = await row(connection)
    assert (first.expected, first.running, first.differs) == (bundle(1), bundle(1), False)
    await inventory.handle_hello(said(hello("a", active=bundle(2)), NOW + timedelta(seconds=1)))
    second = await row(connection)
    assert (second.expected, second.running, second.differs) == (bundle(1), bundle(2), True)
    assert received == [(first, hello("a", active=bundle(1))), (second, hello("a", active=bundle(2)))]


async def test_no_bundle_is_a_desired_state(inventory: Inventory, connection: Connection) -> None:
    """No bundle is a desired state as well: the idle show."""
    await inventory.handle_hello(said(hello("a")))
    await inventory.handle_hello(said(hello("a", active=bundle(1)), NOW + timedelta(seconds=1)))
    device = await row(connection)
    assert (device.expected_known, device.expected, device.differs) == (True, None, True)


async def test_a_deployment_before_the_first_hello(inventory: Inventory, connection: Connection) -> None:
    """A hello does not change a desired state that is set."""
    await device_store.set_expected(connection, {"a": bundle(3), "b": None})
    await inventory.handle_hello(said(hello("a", active=bundle(1))))
    await inventory.handle_hello(said(hello("b", active=bundle(1))))
    expected = {device.id: device.expected for device in (await row(connection), await row(connection, "b"))}
    assert expected == {"a": bundle(3), "b": None}
    assert (await row(connection, "c")).expected_known is False


async def test_hellos_out_of_order(inventory: Inventory, connection: Connection) -> None:
    """The newest counts; the same one twice is one."""
    new, old = hello("a", firmware="2.0.0"), hello("a", firmware="1.0.0")
    await inventory.handle_hello(said(new, NOW + timedelta(seconds=5)))
    await inventory.handle_hello(said(old, NOW))
    await inventory.handle_hello(said(new, NOW + timedelta(seconds=5)))
    device = await row(connection)
    assert (device.hello, device.hello_at) == (new, NOW + timedelta(seconds=5))


async def test_redriven(inventory: Inventory, connection: Connection) -> None:
    """A redriven dead letter belongs to the device that sent it."""
    await inventory.handle_hello(said(hello("a"), subject="redrive.deploy-devices.device.a.hello"))
    assert (await row(connection)).hello == hello("a")


@pytest.mark.parametrize(
    "refused",
    [
        (hello("nobody"), "device.nobody.hello", "unknown_device"),
        (hello("c"), "device.c.hello", "revoked_device"),
    ],
)
async def test_hellos_of_unknown_and_revoked_devices(
    inventory: Inventory,
    connection: Connection,
    received: list[Any],
    devices_link: RecordingClient,
    refused: tuple[DeviceHello, str, str],
) -> None:
    """Of an unknown and of a revoked device: nothing changes, the device gets an error, the hello is a dead letter."""
    body, subject, code = refused
    await device_store.set_revoked(connection, ["c"], NOW)
    before = await device_store.list_devices(connection, include_revoked=True)
    with pytest.raises(PermanentError) as found:
        await inventory.handle_hello(said(body, subject=subject))
    assert found.value.code == code
    [(to, error)] = devices_link.errors
    assert (to, error.subject, error.code) == (f"command.{body.id}.error", subject, code)
    assert "k1 devices add" in error.message
    assert await device_store.list_devices(connection, include_revoked=True) == before
    assert received == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | st.just(b'{"id":"a"}') | st.just(hello("a").to_json()[:-20]))
async def test_malformed(inventory: Inventory, received: list[Any], data: bytes) -> None:
    """An invalid hello is acknowledged: as a dead letter it would push out those of others."""
    await inventory.handle_hello(delivery(data))
    assert received == []


async def test_the_device_gets_the_error(inventory: Inventory, devices_link: RecordingClient) -> None:
    """The field and the reason; of many invalid hellos a few, with the number of those between."""
    await inventory.handle_hello(said(hello("b"), subject="device.a.hello"))
    wrong = hello("a").model_copy(update={"firmware": "one"}).to_json()
    for _ in range(20):
        await inventory.handle_hello(delivery(wrong))
    assert {to for to, _ in devices_link.errors} == {"command.a.error"}
    first, second, *more = [error for _, error in devices_link.errors]
    assert (first.code, first.field, first.device_id) == ("wrong_id", "id", "a")
    assert (second.code, second.field, second.subject) == ("invalid_field", "firmware", "device.a.hello")
    assert 3 <= len(more) < 10


async def test_groups_and_pages(connection: Connection) -> None:
    """A group's devices without the revoked ones; pages with the total."""
    await device_store.upsert_devices(connection, ["d", "e"], "mqtt", None, NOW)
    await device_store.set_revoked(connection, ["b"], NOW)
    assert await device_store.devices_of_group(connection, "stage") == ["a", "c"]
    total, page = await device_store.list_devices(connection, limit=2, offset=1)
    assert (total, [device.id for device in page]) == (4, ["c", "d"])
    total, page = await device_store.list_devices(connection, group="stage", include_revoked=True)
    assert (total, [device.id for device in page]) == (3, ["a", "b", "c"])


async def test_added_again(connection: Connection, inventory: Inventory) -> None:
    """A renewed device is no longer revoked and keeps its group and its desired state."""
    await inventory.handle_hello(said(hello("a", active=bundle(1))))
    await device_store.set_revoked(connection, ["a"], NOW)
    await device_store.upsert_devices(connection, ["a"], "mqtt", None, NOW + timedelta(days=1))
    device = await row(connection)
    assert (device.transport, device.group, device.revoked_at, device.added_at) == (
        "mqtt",
        "stage",
        None,
        NOW,
    )
    assert device.expected == RunningBundle.model_validate(bundle(1).model_dump())
