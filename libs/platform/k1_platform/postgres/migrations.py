"""Brings the schema of a service up or down; each service has a module that hands its migrations in.

Idempotent, and safe when several processes run it at once: one transaction under an advisory
lock, so the second finds the work done and a failed one leaves nothing behind.
"""

import argparse
import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from k1_platform.observability.logging import configure_logging
from k1_platform.settings import ObservabilitySettings, PostgresSettings

Direction = Literal["up", "down"]
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtext(:name))")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migrations:
    """A schema and the folder of its migrations, which holds alembic's `env.py` and `versions/`."""

    schema: str
    folder: Path

    async def run(self, settings: PostgresSettings, direction: Direction = "up") -> None:
        """Run all migrations that are missing, or take all back."""

        async def connect() -> Any:
            return await asyncpg.connect(settings.dsn.get_secret_value(), timeout=10)

        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(_LOCK, {"name": f"{self.schema}.migrations"})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {self.schema}"))
            await connection.run_sync(self._run, direction)
        await engine.dispose()

    def _run(self, connection: Connection, direction: Direction) -> None:
        config = Config()
        config.set_main_option("script_location", str(self.folder))
        config.attributes |= {"connection": connection, "schema": self.schema}
        if direction == "up":
            command.upgrade(config, "head")
        else:
            command.downgrade(config, "base")


def run_in_environment() -> None:
    """The body of an `env.py`: runs on the connection that `Migrations` opened and locked."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table="migrations",
        version_table_schema=attributes["schema"],
    )
    with context.begin_transaction():
        context.run_migrations()


def main(migrations: Migrations) -> None:
    """The command line, `[up|down]`."""
    parser = argparse.ArgumentParser(description=f"Brings the schema {migrations.schema} up or down.")
    parser.add_argument("direction", nargs="?", choices=("up", "down"), default="up")
    direction: Direction = parser.parse_args().direction
    configure_logging(migrations.schema, ObservabilitySettings().log_level)
    asyncio.run(migrations.run(PostgresSettings(), direction))
    _log.info("migrated", extra={"schema": migrations.schema, "direction": direction})
