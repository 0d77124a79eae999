"""Makes the first administrator, a sign-in link and the API key of the command line: `python -m k1_accounts.bootstrap`.

`k1 up` runs it before the services start, and an operator may run it to get back in: whoever can read the database's
password may administer. The link works once, for 15 minutes. The key is written to `--key-file`, unless the one there
is valid. The result is JSON, on standard output or in the file `--result` (mode 600).
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from k1_accounts.audit import write_audit
from k1_accounts.keys.store import find_owner, insert_key
from k1_accounts.one_time_tokens import create_token
from k1_accounts.tokens import KEY_PREFIX, hash_secret, new_secret
from k1_accounts.users import store
from k1_platform.auth.secret_files import write_atomically
from k1_platform.postgres.pool import Connection, open_pool
from k1_platform.settings import PostgresSettings

DEFAULT_EMAIL: Final = "admin@localhost"
LINK_LIFETIME: Final = timedelta(minutes=15)
_HINT_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What an operator gets."""

    email: str
    link_token: str


async def bootstrap(connection: Connection, email: str, key_file: Path | None, at: datetime) -> Bootstrap:
    """Return a sign-in token of an administrator, who is made if there is none; write the key where it is missing."""
    async with connection.transaction():
        await store.lock_admins(connection)
        user_id, address = await _require_admin(connection, email, at)
        token = await create_token(connection, user_id, "link", at, LINK_LIFETIME)
        await write_audit(connection, "sign_in_link_made", user_id, at=at)
        if key_file is not None:
            await _ensure_key(connection, user_id, key_file, at)
    return Bootstrap(address, token)


async def _require_admin(connection: Connection, email: str, at: datetime) -> tuple[str, str]:
    """Return the id and address of the oldest administrator who can sign in."""
    row = await connection.fetchrow(
        "SELECT id, email FROM accounts.users WHERE role = 'admin' AND disabled_at IS NULL"
        " AND email_verified_at IS NOT NULL ORDER BY created_at, id LIMIT 1"
    )
    if row is not None:
        return row["id"], row["email"]
    added = await store.insert_user(
        connection, email=email, name="Administrator", role="admin", locale="en", verified=True, at=at
    )
    if added is None:
        raise SystemExit(
            f"{email} has an account that is no administrator; choose another address with --email"
        )
    await write_audit(connection, "administrator_made", added, at=at, email=email)
    return added, email


async def _ensure_key(connection: Connection, user_id: str, file: Path, at: datetime) -> None:
    """Write a new key of the administrator to the file (mode 600), unless the key in it is valid."""
    known = _read_key(file)
    if known and await find_owner(connection, hash_secret(known), at) is not None:
        return
    secret = new_secret(KEY_PREFIX)
    key = await insert_key(
        connection,
        user_id,
        name="k1 command line",
        role="admin",
        hashed=hash_secret(secret),
        hint=secret[:_HINT_LENGTH],
        at=at,
        expires_at=None,
    )
    await write_audit(connection, "key_created", user_id, at=at, key_id=key.id, name=key.name, role=key.role)
    # In the transaction: a key that could not be written is not stored either.
    write_atomically(file, f"{secret}\n")


def _read_key(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


async def _run(email: str, key_file: Path | None) -> Bootstrap:
    async with (
        await open_pool(PostgresSettings(), "accounts-bootstrap") as pool,
        pool.acquire() as connection,
    ):
        return await bootstrap(connection, email, key_file, datetime.now(UTC))


def main() -> None:
    """Parse the command line and print the result."""
    parser = argparse.ArgumentParser(description="Make an administrator, a sign-in link and an API key.")
    parser.add_argument("--email", default=DEFAULT_EMAIL, help="the address of an administrator to make")
    parser.add_argument("--key-file", type=Path, help="where the API key of the command line is kept")
    parser.add_argument("--result", type=Path, help="where to write the result instead of showing it")
    arguments = parser.parse_args()
    made = asyncio.run(_run(arguments.email, arguments.key_file))
    text = json.dumps(asdict(made)) + "\n"
    if arguments.result is None:
        sys.stdout.write(text)
    else:
        write_atomically(arguments.result, text)


if __name__ == "__main__":
    main()
