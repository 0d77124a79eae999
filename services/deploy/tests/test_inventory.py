"""What devices say of themselves when they connect: kept, or refused with a reason."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.msg import Msg

from k1_contracts.messages.device_link import DeviceError, DeviceHello, RunningBundle
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.inventory import Inventory
from k1_platform.database import Connection, Pool
from k1_platform.device_errors import DeviceErrors
from k1_platform.errors import PermanentError
from services.deploy.tests.devices import bundle, hello

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Delivery:
    """A message as the subscriber hands it over."""

    def __init__(self, subject: str, data: bytes, at: datetime = NOW) -> None:
        reply = f"$JS.ACK.DEVICES.deploy-devices.1.7.7.{int(at.timestamp() * 1e9)}.0"
        self.raw_message = Msg(_client=None, subject=subject, reply=reply, data=data)  # type: ignore[arg-type]


def said(body: DeviceHello, at: datetime = NOW, subject: str | None = None) -> Any:
    return Delivery(subject or f"device.{body.id}.hello", body.to_json(), at)


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        await device_store.upsert_devices(connection, ["a", "b", "c"], "nats", "stage", NOW)
        yield connection


@pytest.fixture
def told() -> list[tuple[DeviceRow, DeviceHello]]:
    return []


class RecordingClient:
    """The connection to the devices: keeps the errors that were published."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, DeviceError]] = []

    async def publish(self, subject: str, payload: bytes) -> None:
        self.errors.append((subject, DeviceError.model_validate_json(payload)))


@pytest.fixture
def devices_link() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def inventory(
    pool: Pool, told: list[tuple[DeviceRow, DeviceHello]], devices_link: RecordingClient
) -> Inventory:
    async def on_hello(device: DeviceRow, hello: DeviceHello) -> None:
        told.append((device, hello))

    return Inventory(pool, DeviceErrors(devices_link), on_hello)  # type: ignore[arg-type]


async def row(connection: Connection, device_id: str = "a") -> DeviceRow:
    return (await device_store.get_devices(connection, [device_id]))[device_id]


async def test_the_first_hello_settles_what_it_should_run(
    inventory: Inventory, connection: Connection, told: list[tuple[DeviceRow, DeviceHello]]
) -> None:
    """What it runs then is right; that it runs something else later is not."""
    assert (await row(connection)).expected_known is False
    await inventory.hello(said(hello("a", active=bundle(1))))
    first = await row(connection)
    assert (first.expected, first.running, first.differs) == (bundle(1), bundle(1), False)
    await inventory.hello(said(hello("a", active=bundle(2)), NOW + timedelta(seconds=1)))
    second = await row(connection)
    assert (second.expected, second.running, second.differs) == (bundle(1), bundle(2), True)
    assert told == [(first, hello("a", active=bundle(1))), (second, hello("a", active=bundle(2)))]


async def test_an_empty_device_should_stay_empty(inventory: Inventory, connection: Connection) -> None:
    """No bundle is something to settle as well: it is the idle show."""
    await inventory.hello(said(hello("a")))
    await inventory.hello(said(hello("a", active=bundle(1)), NOW + timedelta(seconds=1)))
    device = await row(connection)
    assert (device.expected_known, device.expected, device.differs) == (True, None, True)


async def test_a_deployment_before_the_first_hello(inventory: Inventory, connection: Connection) -> None:
    """What was settled is not adopted away."""
    await device_store.set_expected(connection, {"a": bundle(3), "b": None})
    await inventory.hello(said(hello("a", active=bundle(1))))
    await inventory.hello(said(hello("b", active=bundle(1))))
    expected = {device.id: device.expected for device in (await row(connection), await row(connection, "b"))}
    assert expected == {"a": bundle(3), "b": None}
    assert (await row(connection, "c")).expected_known is False


async def test_hellos_out_of_order(inventory: Inventory, connection: Connection) -> None:
    """The newest counts; the same one twice is one."""
    new, old = hello("a", firmware="2.0.0"), hello("a", firmware="1.0.0")
    await inventory.hello(said(new, NOW + timedelta(seconds=5)))
    await inventory.hello(said(old, NOW))
    await inventory.hello(said(new, NOW + timedelta(seconds=5)))
    device = await row(connection)
    assert (device.hello, device.hello_at) == (new, NOW + timedelta(seconds=5))


async def test_redriven(inventory: Inventory, connection: Connection) -> None:
    """A dead letter that is driven anew is of the device that said it."""
    await inventory.hello(said(hello("a"), subject="redrive.deploy-devices.device.a.hello"))
    assert (await row(connection)).hello == hello("a")


@pytest.mark.parametrize(
    "refused",
    [
        (hello("nobody"), "device.nobody.hello", "unknown_device"),
        (hello("c"), "device.c.hello", "revoked_device"),
    ],
)
async def test_whose_hello_is_refused(
    inventory: Inventory,
    connection: Connection,
    told: list[Any],
    devices_link: RecordingClient,
    refused: tuple[DeviceHello, str, str],
) -> None:
    """An unknown device's and a revoked one's: nothing changes, the device gets an error, the letter is dead."""
    body, subject, code = refused
    await device_store.set_revoked(connection, ["c"], NOW)
    before = await device_store.list_devices(connection, include_revoked=True)
    with pytest.raises(PermanentError) as found:
        await inventory.hello(said(body, subject=subject))
    assert found.value.code == code
    [(to, error)] = devices_link.errors
    assert (to, error.subject, error.code) == (f"command.{body.id}.error", subject, code)
    assert "k1 devices add" in error.message
    assert await device_store.list_devices(connection, include_revoked=True) == before
    assert told == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | st.just(b'{"id":"a"}') | st.just(hello("a").to_json()[:-20]))
async def test_malformed(inventory: Inventory, told: list[Any], data: bytes) -> None:
    """Whatever is no hello is done with: as a dead letter it would push out those of others."""
    await inventory.hello(Delivery("device.a.hello", data))  # type: ignore[arg-type]
    assert told == []


async def test_the_device_gets_to_know_what_is_wrong(
    inventory: Inventory, devices_link: RecordingClient
) -> None:
    """The field and why; of many wrong hellos a few, and how many there were between."""
    await inventory.hello(said(hello("b"), subject="device.a.hello"))
    wrong = hello("a").model_copy(update={"firmware": "one"}).to_json()
    for _ in range(20):
        await inventory.hello(Delivery("device.a.hello", wrong))  # type: ignore[arg-type]
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
    """A renewed device is no longer revoked and keeps its group and what it should run."""
    await inventory.hello(said(hello("a", active=bundle(1))))
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
