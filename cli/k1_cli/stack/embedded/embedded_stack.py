"""Starts, stops, kills and restarts the embedded servers together.

with EmbeddedStack(Path(".k1")) as stack:
    environment = stack.urls.environment()   # the variables that the services read
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from k1_cli.stack.embedded.disk import require_free_space
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network
from k1_cli.stack.embedded.servers.mailbox import MailboxServer
from k1_cli.stack.embedded.servers.mongo import MongoServer
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_cli.stack.embedded.servers.postgres import PostgresServer
from k1_cli.stack.embedded.servers.s3 import S3Server
from k1_cli.stack.embedded.servers.server import Server
from k1_contracts.messages.deploy.devices import DeviceServers
from k1_platform.auth.nkeys import NatsKeys


@dataclass(frozen=True)
class StackUrls:
    """The addresses and credentials of the servers of a running stack."""

    nats_url: str
    nats_keys: NatsKeys
    mqtt_url: str
    postgres_dsn: str
    mongo_url: str
    s3_url: str
    s3_access_key: str
    s3_secret_key: str
    ca: Path | None = None
    """The CA of NATS, MQTT and S3 where they speak TLS."""
    s3_bucket: str = "k1-songs"

    def environment(self) -> dict[str, str]:
        """Return the variables from which every service reads its settings, with the credentials of tools for the bus."""
        ca = {} if self.ca is None else {"K1_NATS_CA": str(self.ca), "K1_S3_CA": str(self.ca)}
        return {
            **ca,
            "K1_NATS_URL": self.nats_url,
            "K1_NATS_CREDS": str(self.nats_keys.admin_credentials),
            "K1_POSTGRES_DSN": self.postgres_dsn,
            "K1_MONGO_URL": self.mongo_url,
            "K1_S3_URL": self.s3_url,
            "K1_S3_ACCESS_KEY": self.s3_access_key,
            "K1_S3_SECRET_KEY": self.s3_secret_key,
            "K1_S3_BUCKET": self.s3_bucket,
            # The address for browsers and devices; in this stack the same one.
            "K1_S3_PUBLIC_URL": self.s3_url,
        }


class EmbeddedStack:
    """Real servers with their data under `home`, on ports that stay the same across `kill` and `restart`.

    All methods block; from a coroutine call them in a thread.
    """

    def __init__(
        self,
        home: Path,
        network: Network | None = None,
        *,
        allow_origin: str | None = None,
        with_mailbox: bool = False,
    ) -> None:
        """Prepare without starting anything.

        `network`: where NATS, MQTT and S3 listen, by default on loopback; the databases always listen on loopback.
        `allow_origin`: the origin of a web page that may read objects, for the CORS headers of the S3 server.
        `with_mailbox`: run a mail server that keeps all messages in the home.
        """
        self.home = Home(home)
        self.network = network or Network()
        self._nats = NatsServer(self.home, self.network)
        self._postgres = PostgresServer(self.home)
        self._mongo = MongoServer(self.home)
        self._s3 = S3Server(self.home, self.network, allow_origin=allow_origin)
        self._mailbox = [MailboxServer(self.home)] if with_mailbox else []

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers in the order of starting; they stop in reverse."""
        return (self._nats, self._postgres, self._mongo, self._s3, *self._mailbox)

    @property
    def urls(self) -> StackUrls:
        """The addresses and credentials of the servers.

        Raises:
            StackError: the servers were never started, so they have no ports yet.
        """
        keys = self.home.credentials()
        return StackUrls(
            nats_url=self._nats.url,
            nats_keys=self._nats.keys,
            mqtt_url=self._nats.mqtt_url,
            postgres_dsn=self._postgres.dsn,
            mongo_url=self._mongo.url,
            s3_url=self._s3.url,
            s3_access_key=keys.s3_access_key,
            s3_secret_key=keys.s3_secret_key,
            ca=self.network.ca,
        )

    @property
    def device_servers(self) -> DeviceServers:
        """The addresses to which devices connect.

        Raises:
            StackError: the servers were never started, so they have no ports yet.
        """
        return DeviceServers(
            nats_url=self._nats.url,
            mqtt_url=self._nats.mqtt_url,
            ca=None if self.network.ca is None else self.network.ca.read_text(),
        )

    def attach(self) -> None:
        """Use the ports of a stack that another process runs on this home, to probe its servers."""
        for server in self.servers:
            server.attach()

    def start(self) -> None:
        """Start all servers in parallel and wait until each answers; when one fails, stop the others.

        Raises:
            HomeInUseError: another process runs a stack on this home.
            StackError: a server did not start.
        """
        self.home.create()
        require_free_space(self.home.root)
        self.home.lock()
        self.home.credentials()
        try:
            with ThreadPoolExecutor(len(self.servers)) as pool:
                for started in [pool.submit(server.start) for server in self.servers]:
                    started.result()
        except BaseException:
            self.stop()
            raise
        self.home.remember_ports({name: s.port_named(name) for s in self.servers for name in s.port_names})

    def stop(self) -> None:
        """Stop the servers cleanly in reverse order; do nothing where this process does not hold the lock."""
        if not self.home.holds_lock:
            return
        try:
            for server in reversed(self.servers):
                server.stop()
        finally:
            self.home.unlock()

    def server(self, name: str) -> Server:
        """Return the server of this name: `nats`, `postgres`, `mongo`, `s3` or `mailbox`.

        Raises:
            StackError: there is no server of this name.
        """
        for server in self.servers:
            if server.name == name:
                return server
        raise StackError(f"no server is called {name!r}; there are {', '.join(s.name for s in self.servers)}")

    def kill(self, name: str) -> None:
        """Kill one server with SIGKILL, as in a crash."""
        self.server(name).kill()

    def restart(self, name: str) -> None:
        """Restart one server on its port; stop it first where it still runs."""
        server = self.server(name)
        server.stop()
        server.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
