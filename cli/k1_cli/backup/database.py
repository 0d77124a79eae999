"""Copies the PostgreSQL database with pg_dump and pg_restore, from the wheel of the embedded server."""

import os
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.servers.postgres import postgres_binary


def save_database(dsn: str, archive: Path) -> None:
    """Write an archive of one moment of the whole database.

    Raises:
        CommandError: pg_dump failed.
    """
    _run(dsn, "pg_dump", "--format=custom", "--no-owner", f"--file={archive}")


def load_database(dsn: str, archive: Path) -> None:
    """Restore an archive into an empty database, in one transaction.

    Raises:
        CommandError: pg_restore failed.
    """
    name = urlsplit(dsn).path.removeprefix("/")
    _run(
        dsn, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={name}",
        str(archive),
    )  # fmt: skip


def _run(dsn: str, program: str, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        [postgres_binary(program), *arguments],
        env=environment | connection_variables(dsn),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(f"{program} failed: {done.stderr.strip()[-500:]}")


def connection_variables(dsn: str) -> dict[str, str]:
    """Return the variables of libpq for a URL: on the command line every user of the machine would see the password."""
    url = urlsplit(dsn)
    options = dict(parse_qsl(url.query))
    found = {
        "PGHOST": url.hostname,
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": url.path.removeprefix("/"),
        "PGSSLMODE": options.get("sslmode"),
        "PGSSLROOTCERT": options.get("sslrootcert"),
    }
    return {name: value for name, value in found.items() if value}
