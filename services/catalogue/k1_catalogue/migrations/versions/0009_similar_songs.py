"""The table of feature vectors, with an index where the server has pgvector."""

from alembic import op

from k1_catalogue.feature_table import ENABLE_VECTOR_INDEX, TABLE

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for statement in (*TABLE, ENABLE_VECTOR_INDEX):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE catalogue.version_features")
