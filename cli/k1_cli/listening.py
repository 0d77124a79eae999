"""What `k1 up --listen` asks for, checked, and the lines about it for the person at the terminal."""

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k1_cli.embedded.home import Home
from k1_cli.embedded.network import Network, check_names, checked_address
from k1_cli.errors import CommandError
from k1_contracts.messages.devices import DeviceServers
from k1_platform.tls import client_context, server_context

TLS_FOLDER: Final = "tls"
_PLAIN_TEXT: Final = "WARNING: plain text on a network: who is on it can read songs and credentials and send commands; leave --no-tls out"


@dataclass(frozen=True)
class Listening:
    """The options of `k1 up`, as given."""

    address: str | None = None
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    tls: bool = True

    def __post_init__(self) -> None:
        """Refuse options that do not belong together.

        Raises:
            CommandError: which ones.
        """
        if self.address is None and (self.names or self.certificate or self.key or self.ca or not self.tls):
            raise CommandError(
                "--name, --tls-… and --no-tls say how to listen on a network: give --listen, too"
            )
        if (self.certificate is None) != (self.key is None):
            raise CommandError("--tls-cert and --tls-key belong together: give both or neither")
        if self.ca is not None and self.certificate is None:
            raise CommandError(
                "--tls-ca is the CA of your own certificate: give --tls-cert and --tls-key, too"
            )
        if self.certificate is not None and not self.tls:
            raise CommandError("--no-tls leaves no use for --tls-cert: give one of them")

    def arguments(self) -> list[str]:
        """Return the options as another `k1 up` takes them."""
        files = {"--tls-cert": self.certificate, "--tls-key": self.key, "--tls-ca": self.ca}
        given = [] if self.address is None else ["--listen", self.address]
        given += [word for name in self.names for word in ("--name", name)]
        given += [word for option, path in files.items() if path for word in (option, str(path.absolute()))]
        return given + ([] if self.tls else ["--no-tls"])

    def network(self, home: Path) -> Network:
        """Return where to listen; makes certificates where TLS is wanted and none were given.

        Raises:
            StackError: the address or a name does not lead to this machine.
            CommandError: the certificate cannot be used or made.
        """
        if self.address is None:
            return Network()
        address = checked_address(self.address)
        check_names(address, self.names)
        plain = Network(address, self.names)
        if not self.tls:
            return plain
        place = Home(home)
        place.create()
        if self.certificate is not None and self.key is not None:
            _check_certificate(self.certificate, self.key, self.ca, plain.host)
            return Network(
                address, self.names, self.certificate.absolute(), self.key.absolute(), _absolute(self.ca)
            )
        from k1_platform.certificates import ensure_certificates  # noqa: PLC0415  slow to import, seldom needed

        try:
            made = ensure_certificates(place.root / TLS_FOLDER, (*plain.every_name, "localhost", "127.0.0.1"))
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot make certificates in {place.root / TLS_FOLDER}: {error}") from error
        return Network(address, self.names, made.certificate, made.key, made.ca)

    def warnings(self) -> list[str]:
        """Return what the person who starts the stack must know."""
        plain = self.address is not None and not self.tls and not Network(self.address).is_private
        return [_PLAIN_TEXT] if plain else []


def network_lines(network: Network, servers: DeviceServers) -> list[str]:
    """Return where devices connect, a line each."""
    lines = [f"devices connect to NATS {servers.nats_url}", f"devices connect to MQTT {servers.mqtt_url}"]
    if network.ca is not None:
        lines.append(f"and trust the CA {network.ca}")
    if network.certificate is None and not network.is_private:
        lines.append(_PLAIN_TEXT)
    return lines


def _check_certificate(certificate: Path, key: Path, ca: Path | None, host: str) -> None:
    """Make sure that a client that trusts the CA accepts the certificate: it speaks to itself over two buffers.

    Raises:
        CommandError: a file cannot be used, or a client would refuse the certificate.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        server = server_context(certificate, key).wrap_bio(to_server, to_client, server_side=True)
        client = client_context(ca).wrap_bio(to_client, to_server, server_hostname=host)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise CommandError(
            f"clients would refuse {certificate} for {host}: {error.verify_message}; "
            "see --name for the host name and --tls-ca for a CA of your own"
        ) from error
    except OSError as error:
        raise CommandError(str(error)) from error


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
