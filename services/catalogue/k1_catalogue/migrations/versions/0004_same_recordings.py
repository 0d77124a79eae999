"""An index to find tracks with the same decoded audio."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE INDEX versions_pcm ON catalogue.versions ((summary ->> 'pcm_sha256'))")


def downgrade() -> None:
    op.execute("DROP INDEX catalogue.versions_pcm")
