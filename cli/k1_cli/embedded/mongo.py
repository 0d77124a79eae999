"""The MongoDB wire protocol: a real `mongod` where the PATH has one, else `nx-27017` over SQLite."""

import shutil
import socket
import struct
import sys
from pathlib import Path
from typing import ClassVar

from k1_cli.embedded.processes import Command
from k1_cli.embedded.programs import program
from k1_cli.embedded.server import Server

DATABASE = "k1"

_OP_MSG = 2013
_REPLY_HEADER = 16
_PROBE_TIMEOUT = 1.0


class MongoServer(Server):
    """Listens on loopback without passwords: `nx-27017` knows none."""

    name: ClassVar[str] = "mongo"
    port_names: ClassVar[tuple[str, ...]] = ("mongo",)

    @property
    def url(self) -> str:
        """Connection URL with the default database."""
        return f"mongodb://127.0.0.1:{self.port}/{DATABASE}"

    @property
    def _folder(self) -> Path:
        """One folder for each engine; a home stays with the engine that it began with."""
        root = self.home.data(self.name)
        begun_with_nx = (root / "nx").exists()
        return root / ("mongod" if shutil.which("mongod") and not begun_with_nx else "nx")

    def prepare(self) -> None:
        """Make the data folder and forget the process number that a killed `nx-27017` left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "nx.pid"

    def command(self) -> Command:
        """Either engine; both write their log to standard output."""
        port, folder = str(self.port), str(self._folder)
        if self._folder.name == "mongod":
            return Command(
                ("mongod", "--dbpath", folder, "--port", port, "--bind_ip", "127.0.0.1", "--nounixsocket")
            )
        files = ("--log-file", "/dev/null", "--pid-file", str(self._pid_file))
        script = (sys.executable, program("nx-27017"))
        return Command((*script, "--host", "127.0.0.1", "--port", port, "--data-dir", folder, *files))

    def answers(self) -> bool:
        """Whether `hello` gets a reply."""
        request = hello()
        with socket.create_connection(("127.0.0.1", self.port), _PROBE_TIMEOUT) as connection:
            connection.sendall(request)
            return len(connection.recv(_REPLY_HEADER)) == _REPLY_HEADER


def hello() -> bytes:
    """An OP_MSG with the document `{hello: 1, $db: "admin"}`."""
    fields = b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0" + b"\0"
    document = struct.pack("<i", len(fields) + 4) + fields
    message = struct.pack("<iiiI", 1, 0, _OP_MSG, 0) + b"\0" + document
    return struct.pack("<i", len(message) + 4) + message
