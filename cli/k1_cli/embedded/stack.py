"""The four servers together, as one thing to start, kill parts of, and stop."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from k1_cli.embedded.disk import check_room
from k1_cli.embedded.errors import StackError
from k1_cli.embedded.home import Home
from k1_cli.embedded.mongo import MongoServer
from k1_cli.embedded.nats import NatsServer
from k1_cli.embedded.network import Network
from k1_cli.embedded.postgres import PostgresServer
from k1_cli.embedded.s3 import S3Server
from k1_cli.embedded.server import Server
from k1_contracts.messages.devices import DeviceServers


@dataclass(frozen=True)
class StackUrls:
    """How to reach the servers of a running stack."""

    nats_url: str
    nats_creds: Path
    nats_deploy_keys: Path
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
        """The variables from which every service reads its settings."""
        own_ca = {} if self.ca is None else {"K1_NATS_CA": str(self.ca), "K1_S3_CA": str(self.ca)}
        return {
            **own_ca,
            "K1_NATS_URL": self.nats_url,
            "K1_NATS_CREDS": str(self.nats_creds),
            "K1_POSTGRES_DSN": self.postgres_dsn,
            "K1_MONGO_URL": self.mongo_url,
            "K1_S3_URL": self.s3_url,
            "K1_S3_ACCESS_KEY": self.s3_access_key,
            "K1_S3_SECRET_KEY": self.s3_secret_key,
            "K1_S3_BUCKET": self.s3_bucket,
            # Where a browser or a device finds the objects: here the same place.
            "K1_S3_PUBLIC_URL": self.s3_url,
        }


class EmbeddedStack:
    """Real servers under `home`, on loopback ports that stay the same over `kill` and `restart`.

    Blocking; from a coroutine call its methods through `asyncio.to_thread`.
    """

    def __init__(
        self, home: Path, network: Network | None = None, *, allow_origin: str | None = None
    ) -> None:
        """Nothing starts here.

        `network`: where NATS, MQTT and S3 listen, by default on loopback; the databases always do.
        `allow_origin`: the web page's origin, for the S3 server's CORS answer.
        """
        self.home = Home(home)
        self.network = network or Network()
        self._nats = NatsServer(self.home, self.network)
        self._postgres = PostgresServer(self.home)
        self._mongo = MongoServer(self.home)
        self._s3 = S3Server(self.home, self.network, allow_origin=allow_origin)

    @property
    def servers(self) -> tuple[Server, ...]:
        """In the order of starting; they stop in reverse."""
        return (self._nats, self._postgres, self._mongo, self._s3)

    @property
    def urls(self) -> StackUrls:
        """Raises StackError before the first start."""
        keys = self.home.credentials()
        return StackUrls(
            nats_url=self._nats.url,
            nats_creds=self._nats.keys.service_credentials,
            nats_deploy_keys=self._nats.keys.deploy,
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
        """Where devices connect. Raises StackError before the first start."""
        return DeviceServers(
            nats_url=self._nats.url,
            mqtt_url=self._nats.mqtt_url,
            ca=None if self.network.ca is None else self.network.ca.read_text(),
        )

    def attach(self) -> None:
        """Take the ports of a stack that another process runs on this home, to ask its servers."""
        for server in self.servers:
            server.attach()

    def start(self) -> None:
        """Start all four at once and wait until each answers; what had started is stopped when one fails.

        Raises:
            HomeInUseError: another process runs a stack on this home.
            StackError: a server did not start.
        """
        self.home.create()
        check_room(self.home.root)
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
        """Stop the servers cleanly, last started first; nothing where this home is not ours to stop."""
        if not self.home.claimed:
            return
        try:
            for server in reversed(self.servers):
                server.stop()
        finally:
            self.home.unlock()

    def server(self, name: str) -> Server:
        """One of `nats`, `postgres`, `mongo`, `s3`."""
        for server in self.servers:
            if server.name == name:
                return server
        raise StackError(f"no server is called {name!r}; there are {', '.join(s.name for s in self.servers)}")

    def kill(self, name: str) -> None:
        """`kill -9` one server, as a crash would."""
        self.server(name).kill()

    def restart(self, name: str) -> None:
        """Start one server again on its old port, stopping it first where it still runs."""
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
