"""What each job used: CPU seconds, and bytes in the object store."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE catalogue.jobs ADD COLUMN cpu_s double precision, ADD COLUMN bytes_stored bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE catalogue.jobs DROP COLUMN cpu_s, DROP COLUMN bytes_stored")
