"""The options of `k1 up --listen`, before anything starts."""

import socket
from pathlib import Path

import pytest

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network, require_free_port
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_cli.stack.listen_options import ListenOptions
from k1_platform.auth.certificates import TlsFiles, ensure_certificates

ADDRESS = "127.0.0.2"


def with_certificate(files: TlsFiles, ca: Path | None, *names: str) -> ListenOptions:
    return ListenOptions(ADDRESS, names, files.certificate, files.key, ca)


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what other tests of this process may have set."""
    monkeypatch.delenv("K1_AUTH", raising=False)


def test_without_an_address_everything_stays_on_loopback(tmp_path: Path) -> None:
    """Without options the servers use plain text and listen on loopback only."""
    network = ListenOptions().network(tmp_path)
    assert network == Network()
    assert network.is_private
    assert (network.url("nats", "tls", 1), network.listener(1)) == ("nats://127.0.0.1:1", "127.0.0.1:1")
    assert not list(tmp_path.iterdir())


def test_an_own_certificate_is_used_as_it_is(tmp_path: Path) -> None:
    """Devices get its CA, and no certificate is made."""
    files = ensure_certificates(tmp_path / "own", [ADDRESS])
    network = with_certificate(files, files.ca).network(tmp_path / "home")
    assert (network.certificate, network.key, network.ca) == (files.certificate, files.key, files.ca)
    assert not (tmp_path / "home" / "tls").exists()


def test_a_certificate_that_clients_would_refuse_is_refused_before(tmp_path: Path) -> None:
    """A certificate of another name or an unknown CA: the error says which, and what to do."""
    files = ensure_certificates(tmp_path / "own", ["stage.example"])
    with pytest.raises(CommandError, match=r"IP address mismatch.*see --name for the host name"):
        with_certificate(files, files.ca).network(tmp_path / "home")
    right = ensure_certificates(tmp_path / "right", [ADDRESS])
    with pytest.raises(CommandError, match=r"unable to get local issuer.*--tls-ca for a CA of your own"):
        with_certificate(right, None).network(tmp_path / "home")


def test_plain_text_on_a_network_is_warned_of() -> None:
    """There is no warning on loopback or with TLS."""
    [line] = ListenOptions("192.0.2.1", tls=False).warnings()
    assert line.startswith("WARNING: plain text on a network")
    assert ListenOptions("192.0.2.1").warnings() == []
    assert ListenOptions(ADDRESS, tls=False).warnings() == ListenOptions().warnings() == []


def test_names_come_first_in_urls_and_all_are_allowed(tmp_path: Path) -> None:
    """The first name is used in URLs; the wildcard address is no name of this machine."""
    network = ListenOptions(ADDRESS, (ADDRESS, "stage.example"), tls=False).network(tmp_path)
    assert network.url("http", "https", 80) == f"http://{ADDRESS}:80"
    assert network.all_names == (ADDRESS, "stage.example")
    everywhere = ListenOptions("0.0.0.0", ("127.0.0.3",), tls=False).network(tmp_path)
    assert (everywhere.host, everywhere.all_names, everywhere.listener(7)) == (
        "127.0.0.3",
        ("127.0.0.3",),
        "0.0.0.0:7",
    )
    assert Network("::1").url("http", "https", 80) == "http://[::1]:80"


def test_the_options_survive_the_way_into_the_background(tmp_path: Path) -> None:
    """`--detach` starts another process with the same options, from any folder."""
    listening = ListenOptions(
        ADDRESS, ("a", "b"), tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    )
    assert listening.arguments() == [
        *("--listen", ADDRESS, "--name", "a", "--name", "b"),
        *("--tls-cert", f"{tmp_path}/cert.pem", "--tls-key", f"{tmp_path}/key.pem"),
        *("--tls-ca", f"{tmp_path}/ca.pem"),
    ]
    assert ListenOptions(ADDRESS, tls=False).arguments() == ["--listen", ADDRESS, "--no-tls"]


def test_a_port_that_devices_know_is_never_replaced(tmp_path: Path) -> None:
    """On a network a taken port is an error that says what to do."""
    home = Home(tmp_path)
    home.create()
    with socket.create_server((ADDRESS, 0)) as other:
        port = other.getsockname()[1]
        home.remember_ports({"nats": port, "mqtt": free_port()})
        server = NatsServer(home, Network("0.0.0.0", (ADDRESS,)))
        with pytest.raises(StackError, match=rf"port {port} is taken.*as that of nats.*ports\.json"):
            server.start()


def test_a_port_that_does_not_exist_is_named() -> None:
    """A port out of range is a StackError, although the socket functions raise an OverflowError."""
    with pytest.raises(StackError, match="there is no port 80000; give one from 1 to 65535"):
        require_free_port(80_000, "127.0.0.1")


def test_sign_in_stays_on_for_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """K1_AUTH=off is refused before anything starts; on this machine alone it is possible, with a warning."""
    monkeypatch.setenv("K1_AUTH", "off")
    with pytest.raises(CommandError, match="K1_AUTH=off would let everyone"):
        ListenOptions("0.0.0.0", ("127.0.0.3",), tls=False).network(tmp_path)
    assert any("K1_AUTH=off" in line for line in ListenOptions().warnings())
    monkeypatch.delenv("K1_AUTH")
    assert ListenOptions().warnings() == []
