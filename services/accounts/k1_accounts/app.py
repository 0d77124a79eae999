"""The composition root: reads the settings, opens the connections and wires the handlers."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, NoReturn

from k1_accounts.administration.user_queries import UserQueries
from k1_accounts.handlers import serve_accounts, serve_sign_in
from k1_accounts.keys.queries import KeyQueries
from k1_accounts.mail.sender import MailSender, smtp_transport
from k1_accounts.oauth.oauth_sign_in import OAuthSignIn
from k1_accounts.oauth.providers import make_providers
from k1_accounts.passwords.hashing import PasswordHasher, standard_argon2
from k1_accounts.revocations import AccessNotifier, RevocationQueries
from k1_accounts.sessions.access_tokens import AccessTokenIssuer
from k1_accounts.sessions.queries import SessionQueries
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.sessions.store import delete_old
from k1_accounts.settings import AccountsSettings
from k1_accounts.sign_in.password_sign_in import PasswordSignIn
from k1_accounts.sign_in.recovery import Recovery
from k1_accounts.sign_in.registration import Registration
from k1_accounts.sign_in.throttle import SignInThrottle
from k1_platform.auth.signing import ensure_key, load_keys
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool, check_database, open_pool
from k1_platform.service import Runtime
from k1_platform.settings import PostgresSettings

_PRUNING_INTERVAL_S: Final = 600.0
_log = logging.getLogger(__name__)


def _now() -> datetime:
    """Return the time to the millisecond, as tokens and responses carry it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def wire(runtime: Runtime) -> None:
    """Open the database and the keys, then register what is served, sent and checked."""
    settings = AccountsSettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    ensure_key(settings.keys)
    executor = ThreadPoolExecutor(settings.hash_workers, "argon2")
    runtime.cleanup.callback(executor.shutdown, wait=False, cancel_futures=True)
    wire_accounts(runtime, settings, pool, PasswordHasher(standard_argon2(), executor), _now)
    _send_mail(runtime, settings, pool)
    runtime.background(lambda: _prune(pool), "pruning")
    runtime.checks["postgres"] = lambda: check_database(pool)


def wire_accounts(
    runtime: Runtime,
    settings: AccountsSettings,
    pool: Pool,
    hasher: PasswordHasher,
    clock: Callable[[], datetime],
) -> None:
    """Create the parts of the service and register their handlers."""
    notifier = AccessNotifier(runtime.bus.broker)
    issuer = AccessTokenIssuer(load_keys(settings.keys), settings.issuer)
    sessions = SessionService(pool, issuer, notifier, clock)
    passwords = PasswordSignIn(pool, hasher, sessions, SignInThrottle(pool), clock)
    serve_sign_in(
        runtime.bus,
        registration=Registration(pool, hasher, settings.sign_up, clock),
        passwords=passwords,
        recovery=Recovery(pool, hasher, sessions, clock),
        sessions=sessions,
        oauth=OAuthSignIn(
            pool,
            make_providers(settings.providers, clock),
            sessions,
            settings.sign_up,
            settings.public_url,
            clock,
        ),
    )
    serve_accounts(
        runtime.bus,
        users=UserQueries(pool, notifier, clock),
        passwords=passwords,
        sessions=SessionQueries(pool, issuer, notifier, clock),
        keys=KeyQueries(pool, notifier, clock),
        revocations=RevocationQueries(pool, clock),
    )


def _send_mail(runtime: Runtime, settings: AccountsSettings, pool: Pool) -> None:
    """Send the messages of the outbox, if there is a mail server."""
    transport = smtp_transport(settings)
    if transport is None:
        _log.warning("no K1_ACCOUNTS_SMTP_HOST: messages to users wait until there is a mail server")
        return
    sender = MailSender(pool, transport, settings.smtp_from, settings.public_url, _now)
    runtime.background(sender.run, "mail")


async def _prune(pool: Pool) -> NoReturn:
    """Delete what has expired, at intervals."""
    while True:
        try:
            async with pool.acquire() as connection:
                await delete_old(connection, _now())
        except DATABASE_ERRORS as error:
            _log.warning("nothing pruned", extra={"reason": repr(error)})
        await asyncio.sleep(_PRUNING_INTERVAL_S)
