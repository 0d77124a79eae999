"""Devices, their credentials, audit, inbox and outbox."""

from alembic import op

from k1_platform.postgres.message_tables import MESSAGE_TABLES, message_table_statements

revision = "0001"
down_revision = None

TABLES = (*MESSAGE_TABLES, "audit", "credentials", "devices")

UP = (
    # `hello` is the last hello of the device, `expected_*` its desired state, which is unset until `expected_known`;
    # after that, three NULLs are the device's idle show.
    """
    CREATE TABLE deploy.devices (
        id text COLLATE "C" PRIMARY KEY,
        transport text NOT NULL CHECK (transport IN ('nats', 'mqtt')),
        device_group text COLLATE "C",
        hello jsonb,
        hello_at timestamptz,
        expected_known boolean NOT NULL DEFAULT false,
        expected_sha256 text,
        expected_track_id text,
        expected_version integer,
        last_deployment_id text,
        added_at timestamptz NOT NULL,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX devices_group ON deploy.devices (device_group, id)",
    # Revoked keys are never deleted: the account's token lists them as long as the installation exists.
    """
    CREATE TABLE deploy.credentials (
        public_key text COLLATE "C" PRIMARY KEY,
        device_id text COLLATE "C" NOT NULL REFERENCES deploy.devices,
        issued_at timestamptz NOT NULL,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX credentials_device ON deploy.credentials (device_id)",
    """
    CREATE TABLE deploy.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        detail text,
        device_id text COLLATE "C",
        deployment_id text COLLATE "C"
    )
    """,
    "CREATE INDEX audit_device ON deploy.audit (device_id, id)",
    "CREATE INDEX audit_deployment ON deploy.audit (deployment_id, id)",
    *message_table_statements("deploy"),
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE deploy.{table}")
