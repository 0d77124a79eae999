"""Fixtures: the parts of accounts on a real PostgreSQL and NATS, with cheap hashes and a clock that tests set."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faststream.nats import NatsBroker

from k1_accounts.migrate import migrate
from k1_platform.auth.signing import ensure_key
from k1_platform.nats.bus.client import broker_options
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import NatsSettings, PostgresSettings
from services.accounts.tests.accounts_system import AccountsSystem
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database, which these tests may empty."""
    with temporary_database(provisioned.environment["K1_POSTGRES_DSN"], "accounts", migrate) as settings:
        yield settings


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema, for the service as a process."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database without users."""
    async with await open_pool(database, "test") as pool:
        # Faster than to truncate them; the other tables go with the users.
        await pool.execute("TRUNCATE accounts.audit")
        for table in ("users", "attempts", "revocations", "oauth_flows", "mails"):
            await pool.execute(f"DELETE FROM accounts.{table}")
        yield pool


@pytest.fixture
async def broker(provisioned: Infrastructure) -> AsyncIterator[NatsBroker]:
    """A connection to the bus."""
    async with NatsBroker(**broker_options(NatsSettings()), logger=None) as broker:
        yield broker


@pytest.fixture(scope="session")
def account_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key that signs access tokens."""
    folder = tmp_path_factory.mktemp("account-keys")
    ensure_key(folder)
    return folder


@pytest.fixture
def accounts(pool: Pool, broker: NatsBroker, account_keys: Path) -> Iterator[AccountsSystem]:
    """All parts, as `app.py` wires them."""
    with ThreadPoolExecutor(2) as executor:
        yield AccountsSystem.create(pool, broker, account_keys, executor)
