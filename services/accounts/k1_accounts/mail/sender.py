"""Sends the messages of the outbox over SMTP; while the mail server is away they wait."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Final, NoReturn, Protocol

import aiosmtplib

from k1_accounts.mail.messages import TEXTS, write_message
from k1_accounts.mail.store import DueMail, claim_mail, delete_mail, postpone_mail
from k1_accounts.one_time_tokens import create_token
from k1_accounts.settings import AccountsSettings
from k1_accounts.users.store import get_user
from k1_platform.auth.tls import client_context
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool
from k1_platform.processes.backoff import BackoffSchedule

_POLL_S: Final = 1.0
_TIMEOUT_S: Final = 20.0
_GIVEN_UP_AFTER: Final = timedelta(days=3)
_BACKOFF: Final = BackoffSchedule(first_s=5.0, max_s=1800.0)
_PERMANENT: Final = 500
"""SMTP codes from here on mean that trying again is of no use."""
_log = logging.getLogger(__name__)


class Transport(Protocol):
    """Sends one message; the mail server, or that of a test."""

    async def __call__(self, message: EmailMessage) -> None: ...


def smtp_transport(settings: AccountsSettings) -> Transport | None:
    """Return the transport to the mail server of the settings; None if there is none."""
    host = settings.smtp_host
    if host is None:
        return None
    password = settings.smtp_password
    tls = None if settings.smtp_security == "none" else client_context(settings.smtp_ca)

    async def send(message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            tls_context=tls,
            timeout=_TIMEOUT_S,
        )

    return send


@dataclass(frozen=True, slots=True)
class MailSender:
    """Sends what is due; several processes may."""

    pool: Pool
    transport: Transport
    sender: str
    public_url: str
    clock: Callable[[], datetime]

    async def run(self) -> NoReturn:
        """Send until cancelled; a lost database only delays."""
        while True:
            try:
                while await self.send_next():
                    pass
            except DATABASE_ERRORS as error:
                _log.warning("messages not sent", extra={"reason": repr(error)})
            await asyncio.sleep(_POLL_S)

    async def send_next(self) -> bool:
        """Send the next message that is due; return False if none is."""
        async with self.pool.acquire() as connection:
            mail = await claim_mail(connection, self.clock())
        if mail is None:
            return False
        message = await self._prepare(mail)
        if message is None or await self._is_done(mail, message):
            async with self.pool.acquire() as connection:
                await delete_mail(connection, mail.id)
        return True

    async def _prepare(self, mail: DueMail) -> EmailMessage | None:
        """Make the token of the message, if it has one, and write it; None: there is nobody to send it to."""
        if mail.user_id is None:
            return None
        text, token = TEXTS[mail.template], None
        async with self.pool.acquire() as connection, connection.transaction():
            user = await get_user(connection, mail.user_id)
            if user is None or user.disabled:
                return None
            if text.purpose is not None:
                token = await create_token(connection, user.id, text.purpose, self.clock(), text.lifetime)
        return write_message(mail.template, user, sender=self.sender, public_url=self.public_url, token=token)

    async def _is_done(self, mail: DueMail, message: EmailMessage) -> bool:
        """Send a message; return whether it was sent or has to be given up."""
        try:
            await self.transport(message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            now = self.clock()
            if _is_permanent(error) or now - mail.created_at > _GIVEN_UP_AFTER:
                _log.error("message given up", extra={"mail": mail.id, "reason": repr(error)})
                return True
            _log.warning("message not sent yet", extra={"mail": mail.id, "reason": repr(error)})
            due_at = now + timedelta(seconds=_BACKOFF.pause_s(mail.attempts))
            async with self.pool.acquire() as connection:
                await postpone_mail(connection, mail.id, due_at)
            return False
        return True


def _is_permanent(error: Exception) -> bool:
    """Return whether the server refuses this recipient or this message for good."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= _PERMANENT for refused in error.recipients)
    return isinstance(error, aiosmtplib.SMTPDataError) and error.code >= _PERMANENT
