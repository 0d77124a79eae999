"""The devices in the database: one function for each query or change, inside its caller's transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from k1_contracts.actors import Actor, service_actor
from k1_contracts.messages.deploy.device_link import DeviceHello, RunningBundle, Transport
from k1_platform.nats.actors import acting_name, current_actor
from k1_platform.postgres.pool import Connection

SCHEMA: Final = "deploy"


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A row of the devices table."""

    id: str
    transport: Transport
    group: str | None
    added_at: datetime
    revoked_at: datetime | None = None
    hello: DeviceHello | None = None
    """Its last hello, of `hello_at`; None before the first."""
    hello_at: datetime | None = None
    expected_known: bool = False
    """Whether the desired state has been set."""
    expected: RunningBundle | None = None
    """The desired state; None is the idle show."""
    last_deployment_id: str | None = None

    @property
    def running(self) -> RunningBundle | None:
        """The bundle that its last hello reports."""
        return self.hello.active if self.hello else None

    @property
    def differs(self) -> bool:
        """Whether its last hello reports another bundle than the desired state."""
        return (
            self.hello is not None and self.expected_known and _sha256(self.running) != _sha256(self.expected)
        )


async def get_devices(connection: Connection, device_ids: Iterable[str]) -> dict[str, DeviceRow]:
    """Return the known devices among these, by id."""
    rows = await connection.fetch("SELECT * FROM deploy.devices WHERE id = ANY($1::text[])", list(device_ids))
    return {row["id"]: _device(row) for row in rows}


async def list_ids(connection: Connection) -> list[str]:
    """Return the ids of all devices that are not revoked."""
    rows = await connection.fetch("SELECT id FROM deploy.devices WHERE revoked_at IS NULL")
    return [row["id"] for row in rows]


async def devices_of_group(connection: Connection, group: str) -> list[str]:
    """Return the ids of a group's devices that are not revoked, sorted."""
    rows = await connection.fetch(
        "SELECT id FROM deploy.devices WHERE device_group = $1 AND revoked_at IS NULL ORDER BY id", group
    )
    return [row["id"] for row in rows]


async def list_devices(
    connection: Connection,
    *,
    group: str | None = None,
    include_revoked: bool = False,
    limit: int | None = None,
    offset: int = 0,
    after_id: str | None = None,
) -> tuple[int, list[DeviceRow]]:
    """Return the number of devices, and a page of them sorted by id, from `offset` on or those after `after_id`."""
    where = "($1::text IS NULL OR device_group = $1) AND ($2 OR revoked_at IS NULL)"
    total = await connection.fetchval(
        f"SELECT count(*) FROM deploy.devices WHERE {where}",  # noqa: S608  a constant of ours
        group,
        include_revoked,
    )
    rows = await connection.fetch(
        f"SELECT * FROM deploy.devices WHERE {where} AND ($5::text IS NULL OR id > $5)"  # noqa: S608
        " ORDER BY id LIMIT $3 OFFSET $4",
        group,
        include_revoked,
        limit,
        0 if after_id else offset,
        after_id,
    )
    return total or 0, [_device(row) for row in rows]


@dataclass(frozen=True, slots=True)
class ReportedState:
    """What a device reported in its last hello; both are None before the first."""

    firmware: str | None
    running: RunningBundle | None


async def reported_states(connection: Connection) -> dict[str, ReportedState]:
    """Return what each device that is not revoked reports, by id."""
    rows = await connection.fetch(
        "SELECT id, hello->>'firmware' AS firmware, hello->>'active' AS active FROM deploy.devices"
        " WHERE revoked_at IS NULL"
    )
    return {
        row["id"]: ReportedState(
            row["firmware"], RunningBundle.model_validate_json(row["active"]) if row["active"] else None
        )
        for row in rows
    }


async def save_hello(connection: Connection, hello: DeviceHello, at: datetime) -> DeviceRow | None:
    """Save the hello of one device as `save_hellos` does; return None when there is no such device."""
    return (await save_hellos(connection, [hello], at)).get(hello.id)


async def save_hellos(
    connection: Connection, hellos: Iterable[DeviceHello], at: datetime
) -> dict[str, DeviceRow]:
    """Save hellos of `at`, unless a later one is stored; return the devices after it.

    The first hello sets the desired state to what the device runs, if no deployment has set it.
    """
    by_id = {hello.id: hello for hello in hellos}
    ids = sorted(by_id)  # the same order of locks in every transaction
    active = [by_id[device_id].active for device_id in ids]
    rows = await connection.fetch(
        """
        UPDATE deploy.devices AS d SET
            hello = CASE WHEN hello_at > $3 THEN d.hello ELSE h.hello END,
            hello_at = greatest(hello_at, $3),
            expected_known = true,
            expected_sha256 = CASE WHEN expected_known THEN expected_sha256 ELSE h.sha256 END,
            expected_track_id = CASE WHEN expected_known THEN expected_track_id ELSE h.track_id END,
            expected_version = CASE WHEN expected_known THEN expected_version ELSE h.version END
        FROM (
            SELECT d.id, h.hello, h.sha256, h.track_id, h.version
            FROM unnest($1::text[], $2::jsonb[], $4::text[], $5::text[], $6::int[])
                AS h (id, hello, sha256, track_id, version)
            JOIN deploy.devices AS d USING (id) ORDER BY d.id FOR UPDATE OF d
        ) AS h
        WHERE d.id = h.id RETURNING d.*
        """,
        ids,
        [by_id[device_id].model_dump_json() for device_id in ids],
        at,
        [bundle and bundle.bundle_sha256 for bundle in active],
        [bundle and bundle.track_id for bundle in active],
        [bundle and bundle.version for bundle in active],
    )
    return {row["id"]: _device(row) for row in rows}


async def set_expected(connection: Connection, expected: Mapping[str, RunningBundle | None]) -> None:
    """Set the desired state of devices; None is the idle show."""
    ids = sorted(expected)  # the same order of locks in every transaction
    bundles = [expected[device_id] for device_id in ids]
    await connection.execute(
        """
        UPDATE deploy.devices AS d SET
            expected_known = true,
            expected_sha256 = e.sha256,
            expected_track_id = e.track_id,
            expected_version = e.version
        FROM (
            SELECT d.id, e.sha256, e.track_id, e.version
            FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS e (id, sha256, track_id, version)
            JOIN deploy.devices AS d USING (id) ORDER BY d.id FOR UPDATE OF d
        ) AS e
        WHERE d.id = e.id
        """,
        ids,
        [bundle and bundle.bundle_sha256 for bundle in bundles],
        [bundle and bundle.track_id for bundle in bundles],
        [bundle and bundle.version for bundle in bundles],
    )


async def set_last_deployment(connection: Connection, device_ids: Iterable[str], deployment_id: str) -> None:
    """Store which deployment was the last to include these devices."""
    await connection.execute(
        "UPDATE deploy.devices SET last_deployment_id = $2 WHERE id = ANY($1::text[])",
        sorted(device_ids),
        deployment_id,
    )


async def insert_devices(
    connection: Connection, device_ids: Sequence[str], transport: Transport, group: str | None, at: datetime
) -> set[str]:
    """Add devices; return the ids of those that did not exist."""
    rows = await connection.fetch(
        """
        INSERT INTO deploy.devices (id, transport, device_group, added_at)
        SELECT id, $2, $3, $4 FROM unnest($1::text[]) AS id ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id
        """,
        list(device_ids),
        transport,
        group,
        at,
    )
    return {row["id"] for row in rows}


async def upsert_devices(
    connection: Connection, device_ids: Sequence[str], transport: Transport, group: str | None, at: datetime
) -> None:
    """Add devices; existing ones, also revoked ones, get this transport and, where given, group."""
    await connection.execute(
        """
        INSERT INTO deploy.devices AS d (id, transport, device_group, added_at)
        SELECT id, $2, $3, $4 FROM unnest($1::text[]) AS id ORDER BY id
        ON CONFLICT (id) DO UPDATE SET
            transport = excluded.transport,
            device_group = coalesce(excluded.device_group, d.device_group),
            revoked_at = NULL
        """,
        list(device_ids),
        transport,
        group,
        at,
    )


async def set_revoked(connection: Connection, device_ids: Sequence[str], at: datetime) -> None:
    """Mark devices as revoked."""
    await connection.execute(
        "UPDATE deploy.devices SET revoked_at = $2 WHERE id = ANY($1::text[]) AND revoked_at IS NULL",
        list(device_ids),
        at,
    )


async def write_audit(
    connection: Connection,
    device_ids: Sequence[str | None],
    *,
    at: datetime,
    action: str,
    stated: str | None = None,
    detail: str | None = None,
    deployment_id: str | None = None,
) -> None:
    """Add a line to the audit trail for each device; `[None]`: for a deployment as a whole.

    It names the current actor, `service:deploy` without one; `stated` is the name where nobody signed in.
    """
    actor = current_actor() or (_local(stated) if stated else service_actor(SCHEMA))
    name = acting_name(stated or actor.name)
    await connection.execute(
        "INSERT INTO deploy.audit"
        " (at, actor, action, detail, device_id, deployment_id, actor_kind, actor_id, address)"
        " SELECT $2, $3, $4, $5, device_id, $6, $7, $8, $9 FROM unnest($1::text[]) AS device_id",
        list(device_ids),
        at,
        name,
        action,
        detail,
        deployment_id,
        actor.kind,
        actor.id,
        actor.address,
    )


def _local(name: str) -> Actor:
    """Return someone who stated a name and did not sign in."""
    return Actor(kind="local", id=name, name=name, role="admin")


def _sha256(bundle: RunningBundle | None) -> str | None:
    return bundle.bundle_sha256 if bundle else None


def _device(row: asyncpg.Record) -> DeviceRow:
    expected = None
    if row["expected_sha256"] is not None:
        expected = RunningBundle(
            bundle_sha256=row["expected_sha256"],
            track_id=row["expected_track_id"],
            version=row["expected_version"],
        )
    return DeviceRow(
        id=row["id"],
        transport=row["transport"],
        group=row["device_group"],
        added_at=row["added_at"],
        revoked_at=row["revoked_at"],
        hello=DeviceHello.model_validate(json.loads(row["hello"])) if row["hello"] else None,
        hello_at=row["hello_at"],
        expected_known=row["expected_known"],
        expected=expected,
        last_deployment_id=row["last_deployment_id"],
    )
