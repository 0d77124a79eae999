"""Whether the store is nearly full: one row while it is, so that a restart does not raise the alert again."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE catalogue.storage_alert (
            single boolean PRIMARY KEY DEFAULT true CHECK (single),
            since timestamptz NOT NULL
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.storage_alert")
