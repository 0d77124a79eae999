"""Deployments in the database: one function for each query or change, inside its caller's transaction.

The log (`deploy.log`) is the source of truth. The other columns are derived from it, and are written in the transaction
of the entries that change them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from k1_contracts.messages.deploy.bundles import BundleInfo
from k1_contracts.messages.deploy.deployment_queries import (
    AuditLine,
    Check,
    DeploymentSummary,
    ListDeployments,
)
from k1_contracts.messages.deploy.deployments import ENDED, RequestDeployment
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy.devices import device_store
from k1_deploy.orchestration.storage.leases import notify_schedulers
from k1_deploy.saga.entries import LogEntry, read_log, to_json
from k1_deploy.saga.state import NEXT_STATUSES, State
from k1_platform.cursors import LastRow
from k1_platform.postgres.pool import Connection
from k1_platform.processes.threads import in_thread

_SUMMARY: Final = (
    "id, track_id, version, status, paused, reason, request ->> 'requested_by' AS requested_by,"
    " bundle -> 'bundle' ->> 'sha256' AS bundle_sha256, total, counts, created_at, updated_at, ended_at"
)


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """What a deployment is about; its progress is in its log."""

    request: RequestDeployment
    bundle: BundleInfo | None
    checks: list[Check]
    traceparent: str | None
    closed: bool


async def insert_deployment(
    connection: Connection, row: DeploymentRow, state: State, entries: Sequence[LogEntry]
) -> None:
    """Add a deployment with the first entries of its log, and notify the schedulers."""
    request = row.request
    await connection.execute(
        """
        INSERT INTO deploy.deployments
            (id, track_id, version, request, bundle, checks, traceparent, status, paused, counts, total,
             created_at, updated_at, closed, entries, wake_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, $9, $10, $11, $11, false, 0, now())
        """,
        request.deployment_id,
        request.track_id,
        request.version,
        request.model_dump_json(exclude_none=True),
        row.bundle.model_dump_json(exclude_none=True) if row.bundle else None,
        json.dumps([check.model_dump(mode="json", exclude_none=True) for check in row.checks]),
        row.traceparent,
        state.status,
        json.dumps(state.counts()),
        state.total,
        request.requested_at,
    )
    await append_entries(connection, request.deployment_id, 0, entries)
    await connection.execute(
        "INSERT INTO deploy.deployment_devices (deployment_id, device_id, outcome)"
        " SELECT $1, id, 'pending' FROM unnest($2::text[]) AS id",
        request.deployment_id,
        list(state.devices),
    )
    await device_store.set_last_deployment(connection, state.devices, request.deployment_id)
    await notify_schedulers(connection)


async def append_entries(
    connection: Connection, deployment_id: str, after: int, entries: Sequence[LogEntry]
) -> None:
    """Append entries to a log that has `after` entries."""
    await connection.execute(
        "INSERT INTO deploy.log (deployment_id, seq, entry)"
        " SELECT $1, seq, entry::json FROM unnest($2::int[], $3::text[]) AS e (seq, entry)",
        deployment_id,
        list(range(after + 1, after + len(entries) + 1)),
        [to_json(entry) for entry in entries],
    )


async def save_state(connection: Connection, state: State, entries: int, at: datetime) -> None:
    """Write the columns that are derived from the log."""
    ended = state.status in ENDED
    await connection.execute(
        """
        UPDATE deploy.deployments SET
            status = $2, paused = $3, reason = $4, counts = $5, closed = $6, entries = $7, updated_at = $8,
            ended_at = CASE WHEN $9 THEN coalesce(ended_at, $8) END
        WHERE id = $1
        """,
        state.deployment_id,
        state.status,
        state.paused,
        state.stop.reason if state.stop else None,
        json.dumps(state.counts()),
        state.closed,
        entries,
        at,
        ended,
    )


async def save_outcomes(connection: Connection, deployment_id: str, outcomes: Mapping[str, str]) -> None:
    """Write the outcomes of devices, for queries by device."""
    await connection.execute(
        """
        UPDATE deploy.deployment_devices AS d SET outcome = o.outcome
        FROM unnest($2::text[], $3::text[]) AS o (device_id, outcome)
        WHERE d.deployment_id = $1 AND d.device_id = o.device_id
        """,
        deployment_id,
        list(outcomes),
        list(outcomes.values()),
    )


async def remove_ended(connection: Connection, before: datetime, limit: int) -> int:
    """Remove deployments that ended before a time, the oldest first, with their logs; return how many.

    The newest deployment of a device stays, and so does one that is not closed.
    """
    status = await connection.execute(
        """
        DELETE FROM deploy.deployments WHERE id IN (
            SELECT id FROM deploy.deployments AS d
            WHERE closed AND ended_at < $1
              AND NOT EXISTS (SELECT FROM deploy.devices WHERE last_deployment_id = d.id)
            ORDER BY ended_at, id LIMIT $2
        )
        """,
        before,
        limit,
    )
    return int(status.rpartition(" ")[2])


async def list_audit_lines(connection: Connection, deployment_id: str) -> list[AuditLine]:
    """Return the audit trail of a deployment."""
    rows = await connection.fetch(
        "SELECT at, actor, actor_kind, actor_id, action, detail, device_id FROM deploy.audit WHERE deployment_id = $1 ORDER BY id",
        deployment_id,
    )
    return [
        AuditLine(
            at=row["at"],
            actor=row["actor"],
            actor_kind=row["actor_kind"],
            actor_id=row["actor_id"],
            action=f"{row['action']} for {row['device_id']}" if row["device_id"] else row["action"],
            detail=row["detail"],
        )
        for row in rows
    ]


async def load_deployment(
    connection: Connection, deployment_id: str
) -> tuple[DeploymentRow, list[LogEntry]] | None:
    """Return a deployment with its log; None when it does not exist."""
    row = await connection.fetchrow(
        "SELECT request, bundle, checks, traceparent, closed FROM deploy.deployments WHERE id = $1",
        deployment_id,
    )
    if row is None:
        return None
    entries = await connection.fetch(
        "SELECT entry FROM deploy.log WHERE deployment_id = $1 ORDER BY seq", deployment_id
    )
    found = DeploymentRow(
        request=RequestDeployment.model_validate_json(row["request"]),
        bundle=BundleInfo.model_validate_json(row["bundle"]) if row["bundle"] else None,
        checks=[Check.model_validate(check) for check in json.loads(row["checks"])],
        traceparent=row["traceparent"],
        closed=row["closed"],
    )
    # A thousand devices have thousands of entries: parsing them here would block other commands.
    return found, await in_thread(read_log, [entry["entry"] for entry in entries])


async def find_summary(connection: Connection, deployment_id: str) -> DeploymentSummary | None:
    """Return one deployment as lists show it."""
    row = await connection.fetchrow(
        f"SELECT {_SUMMARY} FROM deploy.deployments WHERE id = $1",  # noqa: S608  a constant of ours
        deployment_id,
    )
    return _summary(row) if row else None


async def list_summaries(
    connection: Connection, query: ListDeployments, after: LastRow | None
) -> tuple[int, list[DeploymentSummary]]:
    """Return the number of deployments, and a page of them with the first of the next page, the newest first."""
    where = (
        "($1::text IS NULL OR track_id = $1) AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL"
        " OR id IN (SELECT deployment_id FROM deploy.deployment_devices WHERE device_id = $3))"
    )
    asked: tuple[Any, ...] = (query.track_id, query.status, query.device_id)
    total = await connection.fetchval(
        f"SELECT count(*) FROM deploy.deployments WHERE {where}",  # noqa: S608
        *asked,
    )
    rows = await connection.fetch(
        f"SELECT {_SUMMARY} FROM deploy.deployments WHERE {where}"  # noqa: S608
        " AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7::text))"
        " ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5",
        *asked,
        query.limit + 1,
        0 if after else query.offset,
        after and after.time,
        after and after.id,
    )
    return total or 0, [_summary(row) for row in rows]


def _summary(row: asyncpg.Record) -> DeploymentSummary:
    return DeploymentSummary.model_validate(dict(row) | {"counts": json.loads(row["counts"])})


def expected_bundle(state: State, device_id: str) -> RunningBundle | None:
    """Return the desired state of a device by this deployment; None is the idle show."""
    device = state.devices[device_id]
    if not device.committed or state.bundle is None:
        return device.before
    ref = state.bundle
    return RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)


async def count_by_status(connection: Connection) -> dict[str, int]:
    """Return the number of deployments of each status, zeros included."""
    rows = await connection.fetch("SELECT status, count(*) FROM deploy.deployments GROUP BY status")
    return dict.fromkeys(NEXT_STATUSES, 0) | {row["status"]: row["count"] for row in rows}


async def longest_waits(connection: Connection) -> dict[str, float]:
    """Return for each status before the end the seconds since the oldest last step, 0 if there is no deployment."""
    rows = await connection.fetch(
        """
        SELECT status, extract(epoch FROM now() - min(updated_at)) AS seconds
        FROM deploy.deployments WHERE ended_at IS NULL AND NOT paused GROUP BY status
        """
    )
    waits = dict.fromkeys(NEXT_STATUSES.keys() - ENDED, 0.0)
    return waits | {row["status"]: max(0.0, float(row["seconds"])) for row in rows}


async def find_open_deployments(connection: Connection, device_id: str) -> list[str]:
    """Return the deployments of this device that have not closed."""
    rows = await connection.fetch(
        """
        SELECT d.id FROM deploy.deployments AS d JOIN deploy.deployment_devices AS dd ON dd.deployment_id = d.id
        WHERE dd.device_id = $1 AND NOT d.closed ORDER BY d.id
        """,
        device_id,
    )
    return [row["id"] for row in rows]


async def find_diverged_deployment(connection: Connection, device_id: str, running: str | None) -> str | None:
    """Return the deployment that locks this device and has activated another bundle on it than `running`."""
    return await connection.fetchval(
        """
        SELECT d.id FROM deploy.device_locks AS l
        JOIN deploy.deployments AS d ON d.id = l.deployment_id
        JOIN deploy.deployment_devices AS dd ON dd.deployment_id = d.id AND dd.device_id = l.device_id
        WHERE l.device_id = $1 AND dd.outcome = 'active'
          AND d.bundle -> 'bundle' ->> 'sha256' IS DISTINCT FROM $2
        """,
        device_id,
        running,
    )


async def find_pending_rollbacks(connection: Connection, device_id: str) -> list[str]:
    """Return the deployments that wait until the reconciler has rolled this device back."""
    rows = await connection.fetch(
        "SELECT deployment_id FROM deploy.deployment_devices"
        " WHERE device_id = $1 AND outcome = 'rollback_pending' ORDER BY deployment_id",
        device_id,
    )
    return [row["deployment_id"] for row in rows]
