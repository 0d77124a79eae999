"""The MongoDB server: a real `mongod` where the PATH has one, else `nx-27017`, which stores in SQLite."""

import hashlib
import os
import shutil
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.embedded.servers import nx_socket
from k1_cli.stack.embedded.servers.server import Server

DATABASE = "k1"

_MAX_SOCKET_PATH = 107
_OP_MSG = 2013
_REPLY_HEADER = 16
_PROBE_TIMEOUT = 1.0


class MongoServer(Server):
    """A server on a socket file that only this user can reach, because `nx-27017` has no passwords."""

    name: ClassVar[str] = "mongo"
    port_names: ClassVar[tuple[str, ...]] = ()

    @property
    def url(self) -> str:
        """The connection URL with the default database."""
        return f"mongodb://{quote(str(self.socket_file), safe='')}/{DATABASE}"

    @property
    def socket_file(self) -> Path:
        """The socket file in the home, or in a temporary folder where the path is too long for the kernel."""
        in_home = self.home.run / "mongo.sock"
        if len(os.fsencode(in_home)) <= _MAX_SOCKET_PATH:
            return in_home
        digest = hashlib.sha256(os.fsencode(self.home.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"k1-{digest}" / in_home.name

    @property
    def _folder(self) -> Path:
        """The data folder; each engine has one, and a home keeps the engine that it started with."""
        root = self.home.data(self.name)
        begun_with_nx = (root / "nx").exists()
        return root / ("mongod" if shutil.which("mongod") and not begun_with_nx else "nx")

    def prepare(self) -> None:
        """Create the folders of the data and the socket; remove the socket file that a killed server left.

        Raises:
            StackError: another user could replace the socket.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self.socket_file.parent
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if place != self.home.run and (
            not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077
        ):
            raise StackError(f"{place} is not yours alone; remove it, or choose a home with a shorter path")
        self.socket_file.unlink(missing_ok=True)

    def command(self) -> Command:
        """Return the command of the engine in use; both engines log to standard output."""
        place, folder = str(self.socket_file), str(self._folder)
        if self._folder.name == "mongod":
            return Command(("mongod", "--dbpath", folder, "--bind_ip", place, "--filePermissions", "0600"))
        return Command((sys.executable, "-P", nx_socket.__file__, place, folder))

    def stop(self) -> None:
        """Stop cleanly, and remove the socket file, with its folder where that is a temporary one."""
        super().stop()
        self.socket_file.unlink(missing_ok=True)
        if self.socket_file.parent != self.home.run:
            shutil.rmtree(self.socket_file.parent, ignore_errors=True)

    def answers(self) -> bool:
        """Return whether the command `hello` gets a reply."""
        request = hello()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PROBE_TIMEOUT)
            connection.connect(str(self.socket_file))
            connection.sendall(request)
            return len(connection.recv(_REPLY_HEADER)) == _REPLY_HEADER


def hello() -> bytes:
    """Return an OP_MSG with the document `{hello: 1, $db: "admin"}`."""
    fields = b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0" + b"\0"
    document = struct.pack("<i", len(fields) + 4) + fields
    message = struct.pack("<iiiI", 1, 0, _OP_MSG, 0) + b"\0" + document
    return struct.pack("<i", len(message) + 4) + message
