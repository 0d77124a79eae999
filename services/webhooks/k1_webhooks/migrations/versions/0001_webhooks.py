"""The tables of webhooks, deliveries, audit, inbox and outbox."""

from alembic import op

from k1_platform.postgres.message_tables import MESSAGE_TABLES, message_table_statements

revision = "0001"
down_revision = None

TABLES = (*MESSAGE_TABLES, "audit", "deliveries", "webhooks")

UP = (
    """
    CREATE TABLE webhooks.webhooks (
        id text COLLATE "C" PRIMARY KEY,
        url text NOT NULL,
        event_types text[] NOT NULL,
        description text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        disabled_reason text,
        secret_number integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE webhooks.deliveries (
        id text COLLATE "C" PRIMARY KEY,
        webhook_id text COLLATE "C" NOT NULL REFERENCES webhooks.webhooks ON DELETE CASCADE,
        event_type text NOT NULL,
        body text NOT NULL,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
        attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz,
        last_status integer,
        last_error text,
        created_at timestamptz NOT NULL,
        ended_at timestamptz
    )
    """,
    "CREATE INDEX deliveries_due ON webhooks.deliveries (next_attempt_at) WHERE status = 'pending'",
    "CREATE INDEX deliveries_webhook ON webhooks.deliveries (webhook_id, id)",
    "CREATE INDEX deliveries_ended ON webhooks.deliveries (ended_at) WHERE ended_at IS NOT NULL",
    """
    CREATE TABLE webhooks.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor jsonb NOT NULL,
        action text NOT NULL,
        webhook_id text COLLATE "C" NOT NULL,
        detail text
    )
    """,
    *message_table_statements("webhooks"),
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE webhooks.{table}")
