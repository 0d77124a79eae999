"""Deployments: their requests, logs, leases, signals and device locks."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = ("bundles", "signals", "device_locks", "deployment_devices", "log", "deployments")

UP = (
    # A new fence is drawn whenever a process claims a deployment or a deployment locks devices; devices and the log
    # refuse a lower one.
    "CREATE SEQUENCE deploy.fences",
    # The log is the source of truth; status, counts and reason are derived from it, for lists.
    """
    CREATE TABLE deploy.deployments (
        id text COLLATE "C" PRIMARY KEY,
        track_id text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        request json NOT NULL,
        bundle json,
        checks json NOT NULL,
        traceparent text,
        status text NOT NULL,
        paused boolean NOT NULL,
        reason text,
        counts json NOT NULL,
        total integer NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        ended_at timestamptz,
        closed boolean NOT NULL,
        entries integer NOT NULL,
        owner text,
        fence bigint NOT NULL DEFAULT 0,
        lease_until timestamptz NOT NULL DEFAULT '-infinity',
        wake_at timestamptz
    )
    """,
    "CREATE INDEX deployments_created ON deploy.deployments (created_at, id)",
    "CREATE INDEX deployments_track ON deploy.deployments (track_id, created_at, id)",
    # When the next step is due without a signal: now, at the end of the guard time, or never.
    "CREATE INDEX deployments_wake ON deploy.deployments (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX deployments_queued ON deploy.deployments (created_at, id) WHERE status = 'queued'",
    """
    CREATE TABLE deploy.log (
        deployment_id text COLLATE "C" NOT NULL REFERENCES deploy.deployments ON DELETE CASCADE,
        seq integer NOT NULL,
        entry json NOT NULL,
        PRIMARY KEY (deployment_id, seq)
    )
    """,
    """
    CREATE TABLE deploy.deployment_devices (
        deployment_id text COLLATE "C" NOT NULL REFERENCES deploy.deployments ON DELETE CASCADE,
        device_id text COLLATE "C" NOT NULL,
        outcome text NOT NULL,
        PRIMARY KEY (deployment_id, device_id)
    )
    """,
    "CREATE INDEX deployment_devices_device ON deploy.deployment_devices (device_id, deployment_id)",
    """
    CREATE INDEX deployment_devices_pending ON deploy.deployment_devices (device_id)
    WHERE outcome = 'rollback_pending'
    """,
    # Locked by a deployment until it ends, or by the reconciler (no deployment) until a time.
    """
    CREATE TABLE deploy.device_locks (
        device_id text COLLATE "C" PRIMARY KEY,
        deployment_id text COLLATE "C" REFERENCES deploy.deployments ON DELETE CASCADE,
        until timestamptz,
        CHECK ((deployment_id IS NULL) <> (until IS NULL))
    )
    """,
    "CREATE INDEX device_locks_deployment ON deploy.device_locks (deployment_id)",
    """
    CREATE TABLE deploy.signals (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        deployment_id text COLLATE "C" NOT NULL REFERENCES deploy.deployments ON DELETE CASCADE,
        signal json NOT NULL
    )
    """,
    "CREATE INDEX signals_deployment ON deploy.signals (deployment_id, id)",
    # The locations of bundles that were deployed before: a rollback may have to stage one again.
    """
    CREATE TABLE deploy.bundles (
        sha256 text COLLATE "C" PRIMARY KEY,
        key text NOT NULL,
        size bigint NOT NULL,
        track_id text COLLATE "C" NOT NULL,
        version integer NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE deploy.{table}")
    op.execute("DROP SEQUENCE deploy.fences")
