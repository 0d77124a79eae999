"""The audit trail says who acted: kind, id and network address beside the name. Older lines know the name alone."""

from alembic import op

revision = "0003"
down_revision = "0002"

COLUMNS = ("actor_kind", "actor_id", "address")


def upgrade() -> None:
    for column in COLUMNS:
        op.execute(f"ALTER TABLE deploy.audit ADD COLUMN {column} text")


def downgrade() -> None:
    for column in COLUMNS:
        op.execute(f"ALTER TABLE deploy.audit DROP COLUMN {column}")
