"""Applies or reverts the migrations of a service; each service has a module that calls `main` with its migrations.

It is idempotent, and several processes may run it at once: all migrations run in one transaction under an advisory
lock. The second process finds the work done, and a failed run changes nothing.
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
    """The migrations of a schema; `folder` contains the `env.py` and the `versions/` of alembic."""

    schema: str
    folder: Path

    async def run(self, settings: PostgresSettings, direction: Direction = "up") -> None:
        """Apply all missing migrations, or revert all."""

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
    """Run the migrations on the connection that `Migrations` opened and locked; called by each `env.py`."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table="migrations",
        version_table_schema=attributes["schema"],
    )
    with context.begin_transaction():
        context.run_migrations()


def main(migrations: Migrations) -> None:
    """Parse the command line, `[up|down]`, and run the migrations."""
    parser = argparse.ArgumentParser(description=f"Brings the schema {migrations.schema} up or down.")
    parser.add_argument("direction", nargs="?", choices=("up", "down"), default="up")
    direction: Direction = parser.parse_args().direction
    configure_logging(migrations.schema, ObservabilitySettings().log_level)
    asyncio.run(migrations.run(PostgresSettings(), direction))
    _log.info("migrated", extra={"schema": migrations.schema, "direction": direction})
