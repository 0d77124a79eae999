"""Runs a cluster of three NATS servers with JetStream, for tests of what one server cannot do."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from tests.support.waiting import wait_until

NODES = 3


@dataclass(frozen=True)
class NatsCluster:
    """The servers of a cluster that runs."""

    url: str
    """The addresses of all servers, separated by commas."""
    servers: list[subprocess.Popen[bytes]]


@contextmanager
def running_nats_cluster(folder: Path) -> Iterator[NatsCluster]:
    """Run the servers until the block ends; clients need no credentials."""
    ports, routes = [[free_port() for _ in range(NODES)] for _ in range(2)]
    urls = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(NODES):
            configuration = folder / f"node-{number}.conf"
            configuration.write_text(
                f"server_name: node-{number}\nlisten: 127.0.0.1:{ports[number]}\n"
                f'jetstream {{ store_dir: "{folder / str(number)}", max_file_store: 8589934592 }}\n'
                f"cluster {{ name: test, listen: 127.0.0.1:{routes[number]}, routes: [{urls}] }}\n"
            )
            command = (find_program("nats-server"), "-c", str(configuration))
            servers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        for port in ports:
            wait_until(lambda port=port: _listens(port), "the server listens", retry_on=(OSError,))
        yield NatsCluster(",".join(f"nats://127.0.0.1:{port}" for port in ports), servers)
    finally:
        for server in servers:
            server.kill()
            server.wait()


def _listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port)).close()
    return True
