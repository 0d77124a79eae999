"""Brings the schema `catalogue` up or down: `python -m k1_catalogue.migrate [up|down]`.

Idempotent, and safe when several processes run it at once: one transaction under an advisory
lock, so the second finds the work done and a failed one leaves nothing behind.
"""

import argparse
import asyncio
import logging
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from k1_platform.observability import configure_logging
from k1_platform.settings import ObservabilitySettings, PostgresSettings

Direction = Literal["up", "down"]
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtext('catalogue.migrations'))")
_SCHEMA: Final = text("CREATE SCHEMA IF NOT EXISTS catalogue")
_log = logging.getLogger(__name__)


async def migrate(settings: PostgresSettings, direction: Direction = "up") -> None:
    """Run all migrations that are missing, or take all back."""

    async def connect() -> Any:
        return await asyncpg.connect(settings.dsn.get_secret_value(), timeout=10)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(_LOCK)
        await connection.execute(_SCHEMA)
        await connection.run_sync(_run, direction)
    await engine.dispose()


def _run(connection: Connection, direction: Direction) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    if direction == "up":
        command.upgrade(config, "head")
    else:
        command.downgrade(config, "base")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m k1_catalogue.migrate", description=__doc__)
    parser.add_argument("direction", nargs="?", choices=("up", "down"), default="up")
    direction: Direction = parser.parse_args().direction
    configure_logging("catalogue", ObservabilitySettings().log_level)
    asyncio.run(migrate(PostgresSettings(), direction))
    _log.info("migrated", extra={"direction": direction})


if __name__ == "__main__":
    main()
