"""The moves of a job in the queue, who asked for the job, and the CPU seconds of its inference."""

from alembic import op

revision = "0011"
down_revision = "0010"

_WAITING = "CREATE INDEX jobs_waiting ON catalogue.jobs (priority DESC, {place}, id) WHERE status = 'queued'"
_ENDED = "WHERE status IN ('completed', 'failed', 'cancelled')"
_UNFINISHED = "WHERE status IN ('queued', 'processing')"


def upgrade() -> None:
    """Add columns that are null: a value would be a change of each track that no event of its history describes."""
    op.execute(
        "ALTER TABLE catalogue.jobs ADD COLUMN moves integer, ADD COLUMN moved_at timestamptz,"
        " ADD COLUMN requested_by text, ADD COLUMN inference_s double precision"
    )
    op.execute("DROP INDEX catalogue.jobs_waiting")
    op.execute(_WAITING.format(place="coalesce(moved_at, created_at)"))
    op.execute(f"CREATE INDEX jobs_unfinished ON catalogue.jobs (requested_by) {_UNFINISHED}")
    op.execute(f"CREATE INDEX jobs_ended ON catalogue.jobs (ended_at, id) {_ENDED}")


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP INDEX catalogue.jobs_ended, catalogue.jobs_unfinished, catalogue.jobs_waiting")
    op.execute(
        "ALTER TABLE catalogue.jobs DROP COLUMN moves, DROP COLUMN moved_at, DROP COLUMN requested_by,"
        " DROP COLUMN inference_s"
    )
    op.execute(_WAITING.format(place="created_at"))
