"""The table `audit`: who did what to a track, and when. It is also the log of a job."""

from datetime import datetime
from typing import Final

import asyncpg

from k1_catalogue.database import without_nul
from k1_contracts.base import rfc3339
from k1_platform.postgres.pool import Connection

_MAX_LOG_LINES: Final = 20


async def write_audit_entry(
    connection: Connection,
    track_id: str,
    *,
    at: datetime,
    actor: str,
    action: str,
    detail: str | None = None,
    job_id: str | None = None,
) -> None:
    """Add an entry to the audit trail of a track, and to the log of a job if there is one."""
    await connection.execute(
        "INSERT INTO catalogue.audit (track_id, job_id, at, actor, action, detail)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        track_id,
        job_id,
        at,
        actor,
        action,
        without_nul(detail) if detail else None,
    )


async def read_job_log(connection: Connection, job_id: str) -> list[str]:
    """Return the last lines of a job's log, oldest first."""
    rows = await connection.fetch(
        "SELECT at, actor, action, detail FROM catalogue.audit WHERE job_id = $1 ORDER BY id DESC LIMIT $2",
        job_id,
        _MAX_LOG_LINES,
    )
    return [_log_line(row) for row in reversed(rows)]


def _log_line(row: asyncpg.Record) -> str:
    line = f"{rfc3339(row['at'])} {row['action']} by {row['actor']}"
    return f"{line}: {row['detail']}" if row["detail"] else line
