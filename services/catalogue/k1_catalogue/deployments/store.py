"""The table `deployments`: the deployments of tracks."""

import json
from typing import Final

import asyncpg

from k1_catalogue.database import without_nul
from k1_catalogue.deployments.deployment import Deployment
from k1_contracts.messages.deploy.deployments import TrackDeployment
from k1_platform.postgres.pool import Connection

MAX_LISTED: Final = 20


async def find_deployment(connection: Connection, deployment_id: str) -> Deployment | None:
    """Return a deployment; None if no event about it has arrived."""
    row = await connection.fetchrow("SELECT * FROM catalogue.deployments WHERE id = $1", deployment_id)
    return _deployment(row) if row else None


async def save_deployment(connection: Connection, deployment: Deployment) -> None:
    """Insert or update a deployment."""
    await connection.execute(
        """
        INSERT INTO catalogue.deployments (id, track_id, version, status, paused, bundle_sha256, total, counts,
            created_at, updated_at, reason, reason_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (id) DO UPDATE SET status = $4, paused = $5, bundle_sha256 = $6, total = $7, counts = $8,
            created_at = $9, updated_at = $10, reason = $11, reason_at = $12
        """,
        deployment.id,
        deployment.track_id,
        deployment.version,
        deployment.status,
        deployment.paused,
        deployment.bundle_sha256,
        deployment.total,
        json.dumps(deployment.counts),
        deployment.created_at,
        deployment.updated_at,
        without_nul(deployment.reason) if deployment.reason is not None else None,
        deployment.reason_at,
    )


async def newest_deployments(connection: Connection, track_id: str) -> list[TrackDeployment]:
    """Return a track's MAX_LISTED newest deployments, newest first, for its detail."""
    rows = await connection.fetch(
        "SELECT * FROM catalogue.deployments WHERE track_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        track_id,
        MAX_LISTED,
    )
    return [_deployment(row).to_response() for row in rows]


def _deployment(row: asyncpg.Record) -> Deployment:
    return Deployment(**{**row, "counts": json.loads(row["counts"])})
