"""The tables of alarms, their audit, inbox and outbox."""

from alembic import op

from k1_platform.postgres.message_tables import MESSAGE_TABLES, message_table_statements

revision = "0002"
down_revision = "0001"

TABLES = (*MESSAGE_TABLES, "audit", "alarms")

UP = (
    """
    CREATE TABLE telemetry.alarms (
        id text COLLATE "C" PRIMARY KEY,
        device_id text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        level text NOT NULL,
        state text NOT NULL CHECK (state IN ('open', 'acknowledged', 'cleared')),
        raised boolean NOT NULL,
        flapping boolean NOT NULL,
        openings integer NOT NULL,
        value double precision,
        reason text NOT NULL,
        track_id text COLLATE "C",
        since timestamptz NOT NULL,
        opened_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        acknowledged_at timestamptz,
        acknowledged_by text,
        note text,
        cleared_at timestamptz,
        clear_reason text
    )
    """,
    # The database refuses a second alarm of a level that is not cleared, whatever the service does.
    """
    CREATE UNIQUE INDEX alarms_current ON telemetry.alarms (device_id, kind, level) WHERE state <> 'cleared'
    """,
    "CREATE INDEX alarms_level ON telemetry.alarms (device_id, kind, level, opened_at)",
    "CREATE INDEX alarms_state ON telemetry.alarms (state, id)",
    "CREATE INDEX alarms_device ON telemetry.alarms (device_id, id)",
    "CREATE INDEX alarms_cleared ON telemetry.alarms (cleared_at) WHERE cleared_at IS NOT NULL",
    """
    CREATE TABLE telemetry.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor jsonb NOT NULL,
        action text NOT NULL,
        alarm_id text COLLATE "C" NOT NULL,
        detail text
    )
    """,
    *message_table_statements("telemetry"),
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE telemetry.{table}")
