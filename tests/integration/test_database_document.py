"""docs/database.md shows the tables that the migrations make."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from k1_cli.stack.migrations import MODULES
from k1_platform.settings import PostgresSettings
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure
from tools.database_diagram import DOCUMENT, read_schemas, render


async def _migrate_all(settings: PostgresSettings) -> None:
    for module in MODULES:
        migrate: Callable[[PostgresSettings], Awaitable[Any]] = import_module(module).migrate
        await migrate(settings)


@pytest.fixture
def database(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A database with the schemas of all services."""
    dsn = infrastructure.environment["K1_POSTGRES_DSN"]
    with temporary_database(dsn, "document", _migrate_all) as settings:
        yield settings


def test_the_document_is_current(database: PostgresSettings) -> None:
    """A migration and the document change in the same commit: run `python -m tools.database_diagram`."""
    schemas = asyncio.run(read_schemas(database.dsn.get_secret_value()))
    assert {schema.name for schema in schemas} == {
        module.split(".")[0].removeprefix("k1_") for module in MODULES
    }
    assert DOCUMENT.read_text("utf-8") == render(schemas)
