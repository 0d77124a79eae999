"""A mail server that delivers nothing and keeps every message in `<home>/mail`, a Maildir; `k1 mail` shows them."""

import socket
import sys
from typing import ClassVar

from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.embedded.servers.server import Server

_PROBE_TIMEOUT = 1.0


class MailboxServer(Server):
    """`python -m aiosmtpd`, on loopback only."""

    name: ClassVar[str] = "mailbox"
    port_names: ClassVar[tuple[str, ...]] = ("smtp",)

    def prepare(self) -> None:
        """Do nothing: the server creates the Maildir."""

    def command(self) -> Command:
        """Return the command."""
        listener = f"127.0.0.1:{self.port_named('smtp')}"
        handler = ("-c", "aiosmtpd.handlers.Mailbox", str(self.home.mail))
        return Command((sys.executable, "-P", "-m", "aiosmtpd", "-n", "-l", listener, *handler))

    def answers(self) -> bool:
        """Return whether the server greets."""
        with socket.create_connection(("127.0.0.1", self.port_named("smtp")), _PROBE_TIMEOUT) as connection:
            return connection.recv(4).startswith(b"220")
