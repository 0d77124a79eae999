"""Answers about devices, from real tables."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.messages.bundles import BundleInfo, GetBundle
from k1_contracts.messages.device_link import Transport
from k1_contracts.messages.devices import (
    AddDevices,
    DeviceCredential,
    DeviceServers,
    GetDevice,
    ListDevices,
    RevokeDevices,
)
from k1_contracts.messages.graphs import KeySet
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_deploy.devices import device_store
from k1_deploy.devices.device_questions import DeviceQuestions
from k1_deploy.devices.presence import PresenceTable
from k1_deploy.devices.revoking import CredentialKeeper
from k1_platform.database import Pool
from k1_platform.device_credentials import MintedCredential
from k1_platform.errors import TransientError
from k1_platform.rpc import AnswerError
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.devices import bundle, hello
from services.deploy.tests.holdings import FixedHoldings

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DOCUMENT = '{"keys":[]}'


class FakeCredentials:
    """Numbers its credentials and remembers what the bus was told; DeviceCredentials is tried on a real server."""

    def __init__(self) -> None:
        self.minted = 0
        self.revoked: set[str] = set()
        self.fails = False
        self.purged: list[str] = []

    def mint(self, device_id: str, transport: Transport) -> MintedCredential:
        self.minted += 1
        told = DeviceCredential(device_id=device_id, transport=transport, secret=f"secret {self.minted}")
        return MintedCredential(f"U{device_id}{self.minted}", told)

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
def presence() -> PresenceTable:
    return PresenceTable(6.0, lambda: 0.0)


@pytest.fixture
def holdings() -> FixedHoldings:
    return FixedHoldings()


SERVERS = DeviceServers(nats_url="tls://stage.example:4222", ca="a certificate")


@pytest.fixture
def questions(
    pool: Pool, presence: PresenceTable, holdings: FixedHoldings, credentials: FakeCredentials
) -> DeviceQuestions:
    async def get_bundle(_: GetBundle) -> BundleInfo:
        return bundle_info(1)

    async def trusted_keys() -> KeySet:
        return KeySet(keys=[], document=DOCUMENT)

    keeper = CredentialKeeper(pool, credentials, credentials.purge_sessions)
    return DeviceQuestions(pool, presence, holdings, keeper, get_bundle, trusted_keys, lambda: NOW, SERVERS)


def add(
    *ids: str, renew: bool = False, transport: Transport = "nats", group: str | None = None
) -> AddDevices:
    return AddDevices(device_ids=list(ids), renew=renew, transport=transport, group=group)


async def say(pool: Pool, *hellos: device_store.DeviceHello) -> None:
    async with pool.acquire() as connection:
        for each in hellos:
            await device_store.save_hello(connection, each, NOW)


async def refused(awaitable: object) -> tuple[str, int]:
    with pytest.raises(AnswerError) as found:
        await awaitable  # type: ignore[misc]
    return found.value.code, found.value.status


async def audit(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT device_id, action FROM deploy.audit ORDER BY id")
    return [(row["device_id"], row["action"]) for row in rows]


async def test_added_listed_and_read(questions: DeviceQuestions, pool: Pool) -> None:
    """Each device gets one credential and the keys to trust; the secrets are not kept."""
    answer = await questions.add_devices(add("b", "a", "b", group="stage"))
    assert [(each.device_id, each.secret) for each in answer.credentials] == [
        ("b", "secret 1"),
        ("a", "secret 2"),
    ]
    assert answer.trusted_keys == DOCUMENT
    assert answer.servers == SERVERS
    page = await questions.list_devices(ListDevices())
    assert (page.total, [(device.id, device.group, device.online) for device in page.items]) == (
        2,
        [("a", "stage", False), ("b", "stage", False)],
    )
    assert await audit(pool) == [("b", "added"), ("a", "added")]
    kept = str([dict(row) for row in await pool.fetch("SELECT * FROM deploy.devices, deploy.credentials")])
    assert "secret" not in kept


async def test_a_device_that_exists(questions: DeviceQuestions, credentials: FakeCredentials) -> None:
    """It is an error, and nothing of the request happens; renewed it has a new credential and the old one is revoked."""
    await questions.add_devices(add("a"))
    assert await refused(questions.add_devices(add("new", "a"))) == ("device_exists", 409)
    assert (await questions.list_devices(ListDevices())).total == 1
    renewed = await questions.add_devices(add("a", "new", renew=True, transport="mqtt"))
    assert [each.device_id for each in renewed.credentials] == ["a", "new"]
    assert credentials.revoked == {"Ua1"}
    assert (await questions.get_device(GetDevice(device_id="a"))).transport == "mqtt"


async def test_revoked(
    questions: DeviceQuestions, credentials: FakeCredentials, presence: PresenceTable
) -> None:
    """Every credential that the device ever had; it is listed on request only, and comes back when renewed."""
    await questions.add_devices(add("a", "b"))
    await questions.add_devices(add("a", renew=True))
    presence.put("a", Presence(device_id="a", online_since=NOW, last_seen=NOW))
    for _ in range(2):
        assert (await questions.revoke_devices(RevokeDevices(device_ids=["a", "a"]))).device_ids == ["a"]
    assert credentials.revoked == {"Ua1", "Ua3"}
    assert [each.id for each in (await questions.list_devices(ListDevices())).items] == ["b"]
    with_revoked = (await questions.list_devices(ListDevices(include_revoked=True))).items
    assert [(each.id, each.revoked_at, each.online) for each in with_revoked] == [
        ("a", NOW, False),
        ("b", None, False),
    ]
    await questions.add_devices(add("a", renew=True))
    assert credentials.revoked == {"Ua1", "Ua3"}
    assert (await questions.get_device(GetDevice(device_id="a"))).revoked_at is None


async def test_the_bus_is_away_while_revoking(
    questions: DeviceQuestions, credentials: FakeCredentials
) -> None:
    """The error is told; the next revocation of anybody, or asking again, completes it."""
    await questions.add_devices(add("a", "b"))
    credentials.fails = True
    with pytest.raises(TransientError):
        await questions.revoke_devices(RevokeDevices(device_ids=["a"]))
    credentials.fails = False
    await questions.revoke_devices(RevokeDevices(device_ids=["b"]))
    assert credentials.revoked == {"Ua1", "Ub2"}


async def test_unknown_devices(questions: DeviceQuestions) -> None:
    """They are named, and nobody is revoked."""
    await questions.add_devices(add("a"))
    assert await refused(questions.get_device(GetDevice(device_id="x"))) == ("device_not_found", 404)
    assert await refused(questions.revoke_devices(RevokeDevices(device_ids=["a", "x"]))) == (
        "device_not_found",
        404,
    )
    assert (await questions.get_device(GetDevice(device_id="a"))).revoked_at is None


async def test_without_keys(pool: Pool, questions: DeviceQuestions) -> None:
    """A service that was given none says so."""
    bare = DeviceQuestions(
        pool,
        questions.presence,
        questions.holdings,
        None,
        questions.get_bundle,
        questions.trusted_keys,
        questions.clock,
        SERVERS,
    )
    assert await refused(bare.add_devices(add("a"))) == ("credentials_unavailable", 503)
    assert await refused(bare.revoke_devices(RevokeDevices(device_ids=["a"]))) == (
        "credentials_unavailable",
        503,
    )


async def test_what_a_device_is(
    questions: DeviceQuestions, pool: Pool, presence: PresenceTable, holdings: FixedHoldings
) -> None:
    """What it said, whether it is there, its alarms, what it should run, and who holds it."""
    await questions.add_devices(add("a"))
    await say(pool, hello("a", active=bundle(1), staged=[bundle(2).bundle_sha256]))
    async with pool.acquire() as connection:
        await device_store.set_expected(connection, {"a": bundle(2)})
        await device_store.set_last_deployment(connection, ["a"], "dep_" + "0" * 26)
    alarm = DeviceAlarm(
        device_id="a", kind="drift", level="alert", state="raised", reason="drift_ms > 50", since=NOW, at=NOW
    )
    seen = NOW + timedelta(seconds=9)
    presence.put("a", Presence(device_id="a", online_since=NOW, last_seen=seen, alarms=[alarm]))
    view = await questions.get_device(GetDevice(device_id="a"))
    assert (view.online, view.last_seen, view.firmware) == (True, seen, "2.1.0")
    assert (view.running, view.expected, view.staged) == (bundle(1), bundle(2), [bundle(2).bundle_sha256])
    assert (view.healing, view.deployment_id, view.last_deployment_id) == (True, None, "dep_" + "0" * 26)
    assert [(notice.code, notice.message) for notice in view.alarms] == [("drift_alert", "drift_ms > 50")]
    holdings.held["a"] = "dep_" + "1" * 26
    held = await questions.get_device(GetDevice(device_id="a"))
    assert (held.healing, held.deployment_id) == (False, "dep_" + "1" * 26)


async def test_who_could_run_a_bundle(
    questions: DeviceQuestions, pool: Pool, presence: PresenceTable
) -> None:
    """Every device that is not revoked, with the reason where it could not."""
    await questions.add_devices(add("fine", "old", "poor", "full", "away", "new", "gone"))
    await questions.revoke_devices(RevokeDevices(device_ids=["gone"]))
    await say(
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
    view = await questions.get_bundle_view(GetBundle(track_id=info.bundle.track_id, version=1))
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


async def test_sessions_of_who_is_cut_off_are_purged(
    questions: DeviceQuestions, credentials: FakeCredentials
) -> None:
    """By revoking and by renewing, and not by adding."""
    await questions.add_devices(add("a", "b"))
    assert credentials.purged == []
    await questions.add_devices(add("a", renew=True))
    await questions.revoke_devices(RevokeDevices(device_ids=["b"]))
    assert credentials.purged == ["a", "b"]


async def test_the_use_of_its_credential_is_an_alarm_of_the_device(
    questions: DeviceQuestions, pool: Pool
) -> None:
    """Whether the device is online or not."""
    await questions.add_devices(add("a", "b"))
    alarm = DeviceAlarm(
        device_id="a", kind="credential", level="alert", state="raised", reason="twice", since=NOW, at=NOW
    )
    watched = replace(questions, credential_alarms=lambda device_id: [alarm] if device_id == "a" else [])
    page = await watched.list_devices(ListDevices())
    assert {view.id: [each.code for each in view.alarms] for view in page.items} == {
        "a": ["credential_alert"],
        "b": [],
    }
