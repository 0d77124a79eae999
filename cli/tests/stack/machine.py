"""A home on which `k1 up` runs real servers and stubs of the services.

The stubs are small programs of the same names that can exit on request. The real services run in the
end-to-end tests.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from k1_cli.stack import migrations
from k1_cli.stack.running_stack import RunningStack, find_stack
from k1_cli.stack.services import SERVICE_NAMES
from tests.support.fork_server import run_forked
from tests.support.processes import inherited_environment
from tests.support.waiting import PATIENCE_S, wait_until

STUB = """
import http.server, json, os, pathlib, signal, ssl, sys
name = "{name}"
behaviour = os.environ.get("STUB_" + name.upper(), "")
if behaviour == "die":
    sys.exit("no luck today")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if behaviour == "hang":
    signal.pause()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        variables = sorted(variable for variable in os.environ if "KEYS" in variable or "_DEVICE_" in variable)
        answer = {{"status": "ready", "checks": {{}}, "version": "9.9", "variables": variables}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
own = {{key: os.environ.get("K1_" + name.upper() + "_" + key) for key in ("PORT", "HOST", "TLS_CERT", "TLS_KEY")}}
server = http.server.ThreadingHTTPServer((own["HOST"], int(own["PORT"])), Answer)
if own["TLS_CERT"]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own["TLS_CERT"], own["TLS_KEY"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
BOOTSTRAP_STUB = """
import pathlib, sys
result = pathlib.Path(sys.argv[sys.argv.index("--result") + 1])
result.write_text('{"email": "admin@localhost", "link_token": "works-once"}')
"""


class Machine:
    """A home, stubs of the services, and the commands that run on them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self._packages = folder / "packages"
        for name in SERVICE_NAMES:
            package = self._packages / f"k1_{name}"
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            (package / "__main__.py").write_text(STUB.format(name=name))
        (self._packages / "k1_accounts" / "bootstrap.py").write_text(BOOTSTRAP_STUB)
        for module in migrations.MODULES:
            (self._packages / f"{module.replace('.', '/')}.py").touch()

    def start(
        self, *arguments: str, stderr: IO[str] | int = subprocess.PIPE, **behaviour: str
    ) -> subprocess.Popen[str]:
        environment = self._environment | {f"STUB_{name.upper()}": value for name, value in behaviour.items()}
        argv = [sys.executable, "-m", "k1_cli", *arguments, "--home", str(self.home)]
        argv += ["--sim-devices", "0"] if "up" in arguments and "--sim-devices" not in arguments else []
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)

    @property
    def _environment(self) -> dict[str, str]:
        return inherited_environment() | {"PYTHONPATH": str(self._packages)}

    def run(self, *arguments: str, **behaviour: str) -> tuple[int, str, str]:
        if arguments[0] != "up":
            options = (*arguments, "--home", str(self.home))
            done = run_forked("k1_cli", *options, environment=self._environment, timeout_s=2 * PATIENCE_S)
            return done.returncode, done.stdout, done.stderr
        with self.start(*arguments, stderr=subprocess.PIPE, **behaviour) as process:
            out, err = process.communicate(timeout=2 * PATIENCE_S)
        return process.returncode, out, err

    def status(self) -> dict[str, Any]:
        """Return the document of `k1 status --json` once everything is ready; a slow probe counts as not ready."""

        def document() -> str:
            code, out, err = self.run("status", "--json")
            assert code == 0, (code, out, err)
            return out

        return json.loads(wait_until(document, "everything is ready", retry_on=(AssertionError,)))

    @property
    def stack(self) -> RunningStack:
        found = find_stack(self.home)
        assert found is not None
        return found

    def pids(self) -> dict[str, int]:
        parts = (*self.stack.servers, *self.stack.services)
        return {part.name: part.pid for part in parts if part.pid is not None}

    def ports(self) -> dict[str, int | None]:
        return {part.name: part.port for part in (*self.stack.servers, *self.stack.services)}


@contextmanager
def running(
    machine: Machine, *options: str, stderr: IO[str] | int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run `k1 up` in the foreground until it is ready."""
    with machine.start("up", *options, stderr=stderr) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "is ready at http" in line, process.stderr and process.stderr.read()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE_S)
