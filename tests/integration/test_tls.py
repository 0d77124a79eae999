"""Every connection of a service can use TLS with a private CA, by settings alone, and then accepts nothing less."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest
from nats.errors import Error as NatsError
from pydantic import SecretStr

from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from k1_platform.auth.device_credentials import load_device_keys
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from k1_platform.nats.administration.accounts import replace_account
from k1_platform.nats.bus.connection import PlainConnectionError, one_shot_connection
from k1_platform.postgres.pool import open_pool
from k1_platform.settings import NatsSettings, PostgresSettings
from tests.support import songs
from tests.support.bus import connected_bus
from tests.support.infrastructure import Infrastructure
from tests.support.processes import running_process
from tests.support.servers.tls import Certificates, tls_proxy
from tests.support.servers.tls_clients import CLIENTS, ERRORS, Mail, Trust, address
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually, wait_until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return what the CA of the installation issued."""
    return Certificates.make(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return what another CA issued."""
    return Certificates.make(tmp_path_factory.mktemp("tls") / "strangers")


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what wins over the setting of the exporter of traces."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_accepts_only_a_server_of_its_ca(
    name: str, provisioned: Infrastructure, certificates: Certificates, strangers: Certificates
) -> None:
    """And of its name. Plain text is refused by the server, and where it asks for one, a client without a certificate."""
    client = CLIENTS[name](provisioned.environment)
    good = Trust(certificates.ca, certificates.client if client.mutual else None)
    bad = [replace(good, ca=strangers.ca)]
    bad += [replace(good, certificate=None)] if client.mutual else []
    if name != "smtp":  # a mail server speaks first, so who expects plain text waits for ever
        bad.append(Trust(None))

    def context(certificate: Path) -> ssl.SSLContext:
        return certificates.server_context(certificate, clients=client.mutual)

    postgres = name == "postgres"
    async with (
        client.server() as connect,
        tls_proxy(connect, context(certificates.server), postgres=postgres) as port,
        tls_proxy(connect, context(certificates.elsewhere), postgres=postgres) as elsewhere,
    ):
        await client.use(port, good)
        attempts = [client.use(port, each) for each in bad]
        outcomes = await asyncio.gather(*attempts, client.use(elsewhere, good), return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, ERRORS)] == []


@contextmanager
def nats_over_tls(folder: Path, certificates: Certificates) -> Iterator[tuple[int, NatsKeys]]:
    """Run a NATS server that asks for certificates; yield its port and its keys."""
    keys, port = ensure_nats_keys(folder / "keys"), free_port()
    configuration = folder / "nats.conf"
    configuration.write_text(
        f"""listen: 127.0.0.1:{port}
tls {{
  cert_file: "{certificates.server}", key_file: "{certificates.server}", ca_file: "{certificates.ca}"
  verify: true, handshake_first: auto
}}
resolver {{ type: full, dir: "{folder / "accounts"}" }}
{keys.server_configuration.read_text()}"""
    )
    with running_process((find_program("nats-server"), "-l", folder / "log", "-c", configuration)):
        wait_until(lambda: listens(port), "the server listens", retry_on=(OSError,))
        yield port, keys


def listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port)).close()
    return True


async def test_the_bus_accepts_only_a_server_of_its_ca(
    certificates: Certificates, strangers: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings of the environment, also where deploy replaces the account, and with TLS from the first byte."""
    with nats_over_tls(tmp_path, certificates) as (port, keys):
        files = {"CA": certificates.ca, "CERT": certificates.client, "KEY": certificates.client}
        for name, file in files.items():
            monkeypatch.setenv(f"K1_NATS_{name}", str(file))
        url = f"tls://127.0.0.1:{port}"
        good = NatsSettings(url=url, creds=keys.admin_credentials)
        for settings in (good, good.model_copy(update={"tls_first": True})):
            async with connected_bus(settings) as bus:
                await bus.client.flush(timeout=60)
        await replace_account(url, load_device_keys(keys.deploy), None)
        bad = [
            {"ca": strangers.ca},
            {"cert": None, "key": None},
            {"url": f"tls://localhost:{port}"},
            {"url": f"nats://127.0.0.1:{port}"},
        ]
        for change in bad:
            with pytest.raises((OSError, NatsError)):
                await one_shot_connection(good.model_copy(update=change), 60).__aenter__()


async def test_no_client_falls_back_to_plain_text(
    provisioned: Infrastructure, certificates: Certificates
) -> None:
    """A server without TLS gets no credentials from a client whose settings ask for it."""
    environment, trust = provisioned.environment, Trust(certificates.ca)
    secure = {"K1_NATS_URL": environment["K1_NATS_URL"].replace("nats://", "tls://")}
    with pytest.raises(PlainConnectionError, match="asks for TLS"):
        await one_shot_connection(NatsSettings.of(environment | secure), 60).__aenter__()
    dsn = SecretStr(f"{environment['K1_POSTGRES_DSN']}?sslmode=verify-full&sslrootcert={certificates.ca}")
    with pytest.raises(ConnectionError, match="SSL"):
        await open_pool(PostgresSettings(dsn=dsn), "test")
    mail = Mail(environment, security="starttls")
    async with mail.server() as connect:
        _, writer = await connect()
        with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
            await mail.use(writer.get_extra_info("peername")[1], trust)
        writer.close()


async def test_the_gateway_reaches_services_over_tls(
    provisioned: Infrastructure, certificates: Certificates, strangers: Certificates, tmp_path: Path
) -> None:
    """Ingest serves HTTPS: its health and uploads pass. A service with a certificate of another CA is not reached."""
    environment = provisioned.environment
    file = {f"K1_INGEST_TLS_{name}": str(certificates.server) for name in ("CERT", "KEY")}
    ingest = running_service("ingest", environment | file, tmp_path, wait_until_ready=False)
    stranger = tls_proxy(address(environment["K1_S3_URL"]), strangers.server_context(strangers.server))
    with ingest as running:
        async with stranger as port:
            own = {
                "K1_GATEWAY_INGEST_URL": running.url.replace("http://", "https://"),
                "K1_GATEWAY_SERVICES_CA": str(certificates.ca),
                "K1_GATEWAY_SERVICE_URLS": json.dumps({"stranger": f"https://127.0.0.1:{port}"}),
            }
            with running_service("gateway", environment | own, tmp_path) as gateway:
                await check_gateway_over_tls(gateway.url)


async def check_gateway_over_tls(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:

        async def ingest_is_ready() -> dict[str, dict[str, Any]] | None:
            services = (await http.get("/api/v1/health")).json()["services"]
            found = {each["name"]: each for each in services}
            return found if found["ingest"]["status"] == "ready" else None

        services = await eventually(ingest_is_ready, "ingest is ready")
        assert services["stranger"]["problems"] == {"http": "ClientConnectorCertificateError"}
        assert (await http.get("/readyz")).json()["dependencies"]["ingest"] == "ok"
        song = {"file": ("a.wav", songs.song(79, seconds=2))}
        assert (await http.post("/api/v1/tracks/upload", files=song)).status_code == 202
