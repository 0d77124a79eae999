"""The options of `k1 up --listen`: checks them, makes certificates, and describes the result to a person."""

import contextlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network, check_host_names, parse_listen_address
from k1_contracts.messages.deploy.devices import DeviceServers
from k1_platform.auth.tls import client_context, server_context

TLS_FOLDER: Final = "tls"
_PLAIN_TEXT: Final = "WARNING: plain text on a network: who is on it can read songs and credentials and send commands; leave --no-tls out"

_NO_SIGN_IN: Final = "WARNING: K1_AUTH=off: nobody has to sign in; every program and every user of this machine is an administrator"


@dataclass(frozen=True)
class ListenOptions:
    """The network options of `k1 up`, as given."""

    address: str | None = None
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    tls: bool = True

    def __post_init__(self) -> None:
        """Refuse options that do not belong together.

        Raises:
            CommandError: it names the options.
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
        """Return the options as command-line arguments for another `k1 up`."""
        files = {"--tls-cert": self.certificate, "--tls-key": self.key, "--tls-ca": self.ca}
        given = [] if self.address is None else ["--listen", self.address]
        given += [argument for name in self.names for argument in ("--name", name)]
        given += [
            argument for option, path in files.items() if path for argument in (option, str(path.absolute()))
        ]
        return given + ([] if self.tls else ["--no-tls"])

    def network(self, home: Path) -> Network:
        """Return where to listen; make certificates where TLS is requested and none were given.

        Raises:
            StackError: the address or a name does not lead to this machine.
            CommandError: the certificate cannot be used or made.
        """
        if self.address is None:
            return Network()
        address = parse_listen_address(self.address)
        if _is_sign_in_off(os.environ) and not Network(address).is_private:
            raise CommandError(
                "K1_AUTH=off would let everyone on the network in as an administrator; leave it out with --listen"
            )
        check_host_names(address, self.names)
        plain = Network(address, self.names)
        if not self.tls:
            return plain
        home_folder = Home(home)
        home_folder.create()
        if self.certificate is not None and self.key is not None:
            _check_certificate(self.certificate, self.key, self.ca, plain.host)
            return Network(
                address, self.names, self.certificate.absolute(), self.key.absolute(), _absolute(self.ca)
            )
        from k1_platform.auth.certificates import ensure_certificates  # noqa: PLC0415  slow to import, seldom needed

        try:
            made = ensure_certificates(
                home_folder.root / TLS_FOLDER, (*plain.all_names, "localhost", "127.0.0.1")
            )
        except (OSError, ValueError) as error:
            raise CommandError(
                f"cannot make certificates in {home_folder.root / TLS_FOLDER}: {error}"
            ) from error
        return Network(address, self.names, made.certificate, made.key, made.ca)

    def warnings(self, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Return the warnings for the person who starts the stack."""
        plain = self.address is not None and not self.tls and not Network(self.address).is_private
        found = [_PLAIN_TEXT] if plain else []
        return [*found, _NO_SIGN_IN] if _is_sign_in_off(environment) else found


def _is_sign_in_off(environment: Mapping[str, str]) -> bool:
    return environment.get("K1_AUTH") == "off"


def network_lines(network: Network, servers: DeviceServers) -> list[str]:
    """Return the lines that say where devices connect."""
    lines = [f"devices connect to NATS {servers.nats_url}", f"devices connect to MQTT {servers.mqtt_url}"]
    if network.ca is not None:
        lines.append(f"and trust the CA {network.ca}")
    if network.certificate is None and not network.is_private:
        lines.append(_PLAIN_TEXT)
    return lines


def _check_certificate(certificate: Path, key: Path, ca: Path | None, host: str) -> None:
    """Check that a client that trusts the CA accepts the certificate, by a TLS handshake over two memory buffers.

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
