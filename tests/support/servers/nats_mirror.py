"""Runs two NATS servers in operator mode, of which the second is a leaf node of the first; for tests of mirrors."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from k1_contracts import streams
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from k1_platform.settings import NatsSettings
from tests.support.waiting import eventually, wait_until

_BLOCK = 65_536


@dataclass
class OperatedServer:
    """A server that `folder` keeps the state of."""

    folder: Path
    keys: NatsKeys
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> NatsSettings:
        """The settings with which tools connect."""
        return NatsSettings(url=f"nats://127.0.0.1:{self.port}", creds=self.keys.admin_credentials)

    def start(self, domain: str, leafnodes: str) -> None:
        """Start it with a JetStream domain and the configuration of leaf nodes."""
        self.folder.mkdir(exist_ok=True)
        configuration = self.folder / "nats.conf"
        configuration.write_text(
            f"""server_name: {self.folder.name}
listen: 127.0.0.1:{self.port}
jetstream {{ domain: {domain}, store_dir: "{self.folder}", max_file_store: 8589934592 }}
resolver {{ type: full, dir: "{self.folder / "accounts"}" }}
leafnodes {{ {leafnodes} }}
{self.keys.server_configuration.read_text()}"""
        )
        self.process = subprocess.Popen(
            (find_program("nats-server"), "-c", configuration, "-l", self.folder / "log")
        )
        wait_until(self._listens, "the server listens", retry_on=(OSError,))

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _listens(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port)).close()
        return True


@dataclass(frozen=True)
class MirroredServers:
    """A source and its mirror; the mirror reaches the source only within `link`."""

    source: OperatedServer
    mirror: OperatedServer
    leaf_port: int
    link_port: int

    def start_mirror(self) -> None:
        """Start the mirror as a leaf node of the source."""
        keys = self.mirror.keys
        self.mirror.start(
            "mirror",
            f'remotes [ {{ url: "nats://127.0.0.1:{self.link_port}", credentials: "{keys.mirror_credentials}", '
            f'include "../keys/admin/{keys.mirror_account.name}" }} ], reconnect: 1',
        )

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[None]:
        """Connect the mirror to the source until the block ends."""
        handlers: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                handlers.add(task)
            with contextlib.suppress(OSError):
                source_reader, source_writer = await asyncio.open_connection("127.0.0.1", self.leaf_port)
                await asyncio.gather(_copy(reader, source_writer), _copy(source_reader, writer))

        before = self._connections()
        server = await asyncio.start_server(handle, "127.0.0.1", self.link_port)
        try:
            await eventually(lambda: self._connections() > before, "the mirror is connected")
            yield
        finally:
            server.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)

    def _connections(self) -> int:
        """Return how often the mirror has connected to the source."""
        return (self.mirror.folder / "log").read_text().count("Leafnode connection created")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_BLOCK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextmanager
def running_mirrored_servers(folder: Path) -> Iterator[MirroredServers]:
    """Run a source and a mirror with the keys of one installation until the block ends."""
    keys, leaf_port = ensure_nats_keys(folder / "keys"), free_port()
    source, mirror = (OperatedServer(folder / name, keys) for name in ("source", "mirror"))
    servers = MirroredServers(source, mirror, leaf_port, free_port())
    try:
        source.start(streams.DOMAIN, f"listen: 127.0.0.1:{leaf_port}")
        servers.start_mirror()
        yield servers
    finally:
        source.kill()
        mirror.kill()
