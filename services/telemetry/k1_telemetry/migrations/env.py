"""The environment that Alembic runs the migrations in."""

from k1_platform.postgres.migrations import run_in_environment

run_in_environment()
