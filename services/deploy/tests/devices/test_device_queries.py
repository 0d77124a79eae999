"""Queries about devices, with real tables."""

from collections.abc import Awaitable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.bundles import BundleInfo, GetBundle
from k1_contracts.messages.deploy.device_link import DeviceHello, Transport
from k1_contracts.messages.deploy.devices import (
    AddDevices,
    DeviceCredential,
    DeviceServers,
    GetDevice,
    ListDevices,
    RevokeDevices,
)
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_deploy.devices import device_store
from k1_deploy.devices.access.credential_service import CredentialService
from k1_deploy.devices.device_queries import DeviceQueries
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.requests.bundle_queries import BundleQueries
from k1_platform.auth.device_credentials import MintedCredential
from k1_platform.errors import TransientError
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.deployment_lookup import FakeDeploymentLookup
from services.deploy.tests.scripted_device import bundle, hello

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DOCUMENT = '{"keys":[]}'


class FakeCredentials:
    """Numbers its credentials and records revocations; NatsCredentialIssuer is tested on a real server."""

    def __init__(self) -> None:
        self.minted = 0
        self.revoked: set[str] = set()
        self.fails = False
        self.purged: list[str] = []

    def mint(self, device_id: str, transport: Transport) -> MintedCredential:
        self.minted += 1
        credential = DeviceCredential(
            device_id=device_id, transport=transport, secret=f"secret {self.minted}"
        )
        return MintedCredential(f"U{device_id}{self.minted}", credential)

    async def revoke(self, public_keys: Collection[str]) -> None:
        if self.fails:
            raise TransientError("the bus does not answer")
        self.revoked = set(public_keys)

    async def purge_sessions(self, device_ids: Collection[str]) -> None:
        self.purged += device_ids


@pytest.fixture
def credentials() -> FakeCredentials:
    return FakeCredentials()


@pytest.fixture
def presence() -> PresenceCache:
    return PresenceCache(6.0, lambda: 0.0)


@pytest.fixture
def lookup() -> FakeDeploymentLookup:
    return FakeDeploymentLookup()


SERVERS = DeviceServers(nats_url="tls://stage.example:4222", ca="a certificate")


@pytest.fixture
def queries(
    pool: Pool, presence: PresenceCache, lookup: FakeDeploymentLookup, credentials: FakeCredentials
) -> DeviceQueries:
    async def trusted_keys() -> KeySet:
        return KeySet(keys=[], document=DOCUMENT)

    service = CredentialService(pool, credentials, credentials.purge_sessions)
    return DeviceQueries(pool, presence, lookup, service, trusted_keys, lambda: NOW, SERVERS)


@pytest.fixture
def bundle_queries(pool: Pool, presence: PresenceCache) -> BundleQueries:
    async def get_bundle(_: GetBundle) -> BundleInfo:
        return bundle_info(1)

    return BundleQueries(pool, presence, get_bundle)


def add(
    *ids: str, renew: bool = False, transport: Transport = "nats", group: str | None = None
) -> AddDevices:
    return AddDevices(device_ids=list(ids), renew=renew, transport=transport, group=group)


async def save_hellos(pool: Pool, *hellos: DeviceHello) -> None:
    async with pool.acquire() as connection:
        for each in hellos:
            await device_store.save_hello(connection, each, NOW)


async def expect_error(awaitable: Awaitable[object]) -> tuple[str, int]:
    with pytest.raises(QueryError) as found:
        await awaitable
    return found.value.code, found.value.status


async def audit(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT device_id, action FROM deploy.audit ORDER BY id")
    return [(row["device_id"], row["action"]) for row in rows]


async def test_added_listed_and_read(queries: DeviceQueries, pool: Pool) -> None:
    """Each device gets one credential and the trusted keys; the secrets are not stored."""
    answer = await queries.add_devices(add("b", "a", "b", group="stage"))
    assert [(each.device_id, each.secret) for each in answer.credentials] == [
        ("b", "secret 1"),
        ("a", "secret 2"),
    ]
    assert answer.trusted_keys == DOCUMENT
    assert answer.servers == SERVERS
    page = await queries.list_devices(ListDevices())
    assert (page.total, [(device.id, device.group, device.online) for device in page.items]) == (
        2,
        [("a", "stage", False), ("b", "stage", False)],
    )
    assert await audit(pool) == [("b", "added"), ("a", "added")]
    row = await pool.fetchrow("SELECT actor, actor_kind, actor_id FROM deploy.audit LIMIT 1")
    assert row is not None
    assert tuple(row) == ("service:deploy", "service", "deploy"), "nobody sent it"
    kept = str([dict(row) for row in await pool.fetch("SELECT * FROM deploy.devices, deploy.credentials")])
    assert "secret" not in kept


async def test_a_device_that_exists(queries: DeviceQueries, credentials: FakeCredentials) -> None:
    """It is an error and nothing happens; renewed it gets a new credential and the old one is revoked."""
    await queries.add_devices(add("a"))
    assert await expect_error(queries.add_devices(add("new", "a"))) == ("device_exists", 409)
    assert (await queries.list_devices(ListDevices())).total == 1
    renewed = await queries.add_devices(add("a", "new", renew=True, transport="mqtt"))
    assert [each.device_id for each in renewed.credentials] == ["a", "new"]
    assert credentials.revoked == {"Ua1"}
    assert (await queries.get_device(GetDevice(device_id="a"))).transport == "mqtt"


async def test_revoked(queries: DeviceQueries, credentials: FakeCredentials, presence: PresenceCache) -> None:
    """Revokes every credential of the device; it is listed on request only, and is active again when renewed."""
    await queries.add_devices(add("a", "b"))
    await queries.add_devices(add("a", renew=True))
    presence.put("a", Presence(device_id="a", online_since=NOW, last_seen=NOW))
    for _ in range(2):
        assert (await queries.revoke_devices(RevokeDevices(device_ids=["a", "a"]))).device_ids == ["a"]
    assert credentials.revoked == {"Ua1", "Ua3"}
    assert [each.id for each in (await queries.list_devices(ListDevices())).items] == ["b"]
    with_revoked = (await queries.list_devices(ListDevices(include_revoked=True))).items
    assert [(each.id, each.revoked_at, each.online) for each in with_revoked] == [
        ("a", NOW, False),
        ("b", None, False),
    ]
    await queries.add_devices(add("a", renew=True))
    assert credentials.revoked == {"Ua1", "Ua3"}
    assert (await queries.get_device(GetDevice(device_id="a"))).revoked_at is None


async def test_the_bus_is_unavailable_while_revoking(
    queries: DeviceQueries, credentials: FakeCredentials
) -> None:
    """The caller gets an error; the next revocation of any device, or a repeated one, completes it."""
    await queries.add_devices(add("a", "b"))
    credentials.fails = True
    with pytest.raises(TransientError):
        await queries.revoke_devices(RevokeDevices(device_ids=["a"]))
    credentials.fails = False
    await queries.revoke_devices(RevokeDevices(device_ids=["b"]))
    assert credentials.revoked == {"Ua1", "Ub2"}


async def test_unknown_devices(queries: DeviceQueries) -> None:
    """The error names them, and no device is revoked."""
    await queries.add_devices(add("a"))
    assert await expect_error(queries.get_device(GetDevice(device_id="x"))) == ("device_not_found", 404)
    assert await expect_error(queries.revoke_devices(RevokeDevices(device_ids=["a", "x"]))) == (
        "device_not_found",
        404,
    )
    assert (await queries.get_device(GetDevice(device_id="a"))).revoked_at is None


async def test_without_keys(pool: Pool, queries: DeviceQueries) -> None:
    """A service without keys says so."""
    bare = DeviceQueries(
        pool,
        queries.presence,
        queries.deployments,
        None,
        queries.trusted_keys,
        queries.clock,
        SERVERS,
    )
    assert await expect_error(bare.add_devices(add("a"))) == ("credentials_unavailable", 503)
    assert await expect_error(bare.revoke_devices(RevokeDevices(device_ids=["a"]))) == (
        "credentials_unavailable",
        503,
    )


async def test_the_view_of_a_device(
    queries: DeviceQueries, pool: Pool, presence: PresenceCache, lookup: FakeDeploymentLookup
) -> None:
    """Its hello, presence, alarms, desired state, and the deployment that locks it."""
    await queries.add_devices(add("a"))
    await save_hellos(pool, hello("a", active=bundle(1), staged=[bundle(2).bundle_sha256]))
    async with pool.acquire() as connection:
        await device_store.set_expected(connection, {"a": bundle(2)})
        await device_store.set_last_deployment(connection, ["a"], "dep_" + "0" * 26)
    alarm = DeviceAlarm(
        device_id="a", kind="drift", level="alert", state="raised", reason="drift_ms > 50", since=NOW, at=NOW
    )
    seen = NOW + timedelta(seconds=9)
    presence.put("a", Presence(device_id="a", online_since=NOW, last_seen=seen, alarms=[alarm]))
    view = await queries.get_device(GetDevice(device_id="a"))
    assert (view.online, view.last_seen, view.firmware) == (True, seen, "2.1.0")
    assert (view.running, view.expected, view.staged) == (bundle(1), bundle(2), [bundle(2).bundle_sha256])
    assert (view.healing, view.deployment_id, view.last_deployment_id) == (True, None, "dep_" + "0" * 26)
    assert [(notice.code, notice.message) for notice in view.alarms] == [("drift_alert", "drift_ms > 50")]
    lookup.held["a"] = "dep_" + "1" * 26
    held = await queries.get_device(GetDevice(device_id="a"))
    assert (held.healing, held.deployment_id) == (False, "dep_" + "1" * 26)


async def test_who_could_run_a_bundle(
    queries: DeviceQueries, bundle_queries: BundleQueries, pool: Pool, presence: PresenceCache
) -> None:
    """Every device that is not revoked, with the reason if it could not."""
    await queries.add_devices(add("fine", "old", "poor", "full", "away", "new", "gone"))
    await queries.revoke_devices(RevokeDevices(device_ids=["gone"]))
    await save_hellos(
        pool,
        hello("fine"),
        hello("old", firmware="1.0.0"),
        hello("poor", node_types=[]),
        hello("full", flash_free_bytes=5),
        hello("away"),
    )
    for device_id in ("fine", "old", "poor", "full", "new"):
        presence.put(device_id, Presence(device_id=device_id, online_since=NOW, last_seen=NOW))
    info = bundle_info(1)
    view = await bundle_queries.get_bundle_view(GetBundle(track_id=info.bundle.track_id, version=1))
    assert (view.manifest, view.bundle) == (info.manifest, info.bundle)
    assert {each.device_id: each.status for each in view.compatibility} == {
        "fine": "ok",
        "old": "upgrade_required",
        "poor": "missing_nodes",
        "full": "no_space",
        "away": "offline",
        "new": "offline",
    }
    assert all(bool(each.reason) == (each.status != "ok") for each in view.compatibility)


async def test_mqtt_sessions_of_disconnected_devices_are_purged(
    queries: DeviceQueries, credentials: FakeCredentials
) -> None:
    """When revoking and renewing, not when adding."""
    await queries.add_devices(add("a", "b"))
    assert credentials.purged == []
    await queries.add_devices(add("a", renew=True))
    await queries.revoke_devices(RevokeDevices(device_ids=["b"]))
    assert credentials.purged == ["a", "b"]


async def test_credential_alarms_are_alarms_of_the_device(queries: DeviceQueries, pool: Pool) -> None:
    """Whether the device is online or not."""
    await queries.add_devices(add("a", "b"))
    alarm = DeviceAlarm(
        device_id="a", kind="credential", level="alert", state="raised", reason="twice", since=NOW, at=NOW
    )
    watched = replace(queries, credential_alarms=lambda device_id: [alarm] if device_id == "a" else [])
    page = await watched.list_devices(ListDevices())
    assert {view.id: [each.code for each in view.alarms] for view in page.items} == {
        "a": ["credential_alert"],
        "b": [],
    }
