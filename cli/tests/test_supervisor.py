"""`k1 up`, `k1 down` and `k1 status` with stubs of the services and real servers: the supervision is tested.

The real services run in the end-to-end tests. The stubs are small programs of the same names that can exit on
request.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from k1_cli.stack import migrations
from k1_cli.stack.embedded.disk import DiskMonitor
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.processes import Command, ManagedProcess
from k1_cli.stack.running_stack import RunningStack, find_stack
from k1_cli.stack.services import SERVICE_NAMES
from k1_cli.stack.supervisor import Backoff
from tests.support.fork_server import run_forked
from tests.support.processes import inherited_environment, is_alive
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


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which a stack runs during all tests."""
    machine = Machine(tmp_path_factory.mktemp("shared"))
    with running(machine):
        yield machine


def test_ctrl_c_stops_everything_without_a_trace(machine: Machine) -> None:
    """Exit code 0, no stack trace, no process, no state; the home is free again."""
    with running(machine) as up:
        pids = machine.pids()
        assert set(pids) == {"nats", "postgres", "mongo", "s3", "mailbox", *SERVICE_NAMES}
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 0
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "k1: stopping"
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert find_stack(machine.home) is None


@pytest.mark.parametrize("name", ["gateway", "nats"])
def test_a_killed_process_is_restarted(shared: Machine, name: str) -> None:
    """A killed service or server restarts on its port in a new process, which the state file names."""
    before, ports = shared.pids()[name], shared.ports()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: shared.pids().get(name, before) != before, f"{name} starts again")
    assert shared.ports() == ports


def test_a_disk_that_is_full_ends_nothing(machine: Machine) -> None:
    """A process is restarted although the state file cannot be written; that is written as soon as possible."""
    with running(machine):
        stack = find_stack(machine.home)
        assert stack is not None
        state = stack.home.state_file
        wait_until(lambda: replace_by_folder(state), "no file can take its place, as root neither")
        before = next(part.pid for part in stack.services if part.name == "ingest")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        url = next(f"http://127.0.0.1:{part.port}" for part in stack.services if part.name == "ingest")
        wait_until(lambda: not is_alive(before), "ingest is gone")
        wait_until(lambda: answers(url), "ingest is back")
        state.rmdir()
        wait_until(state.is_file, "the state is written")
        after = {part["name"]: part["pid"] for part in machine.status()["services"]}
        assert after["ingest"] != before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_messages_that_cannot_be_written_end_nothing(machine: Machine) -> None:
    """A detached stack writes its messages to a log, which a full disk refuses: it starts, restarts and stops."""
    with Path("/dev/full").open("w") as full, running(machine, stderr=full) as up:
        before = machine.pids()["ingest"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: machine.pids().get("ingest", before) != before, "ingest starts again")
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=PATIENCE_S)


def test_a_disk_without_room_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and the error says what is free, what is needed and what to do."""
    free = shutil.disk_usage(tmp_path)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StackError) as refused:
        EmbeddedStack(tmp_path / "home").start()
    assert str(refused.value) == (
        f"the disk of {tmp_path / 'home'} has 100 MB free and a start needs 256 MB; free some space, "
        "or choose a home on another disk with --home"
    )
    assert not list((tmp_path / "home").rglob("*.json"))


def test_a_disk_that_fills_up_is_noticed_and_so_is_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each callback is called once: a nearly full disk does not cause repeated restarts."""
    seen: list[str] = []
    watch = DiskMonitor(tmp_path, on_full=lambda: seen.append("full"), on_room=lambda: seen.append("room"))
    usage = shutil.disk_usage(tmp_path)
    for free in (
        10**9,
        10_000_000,
        1_000_000,
        0,
        5_000_000,
        3_000_000,
        63_000_000,
        10**9,
        63_000_000,
        0,
        10**8,
    ):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        watch.check()
        seen.append(str(free))
    events = [entry if entry.isalpha() else "" for entry in seen]
    assert [e for e in events if e] == ["full", "room", "full", "room"]
    assert [seen[seen.index("full") + 1], seen[seen.index("room") + 1]] == ["1000000", "1000000000"]


def replace_by_folder(file: Path) -> bool:
    """Return False where the supervisor writes the file at this moment."""
    file.unlink(missing_ok=True)
    try:
        file.mkdir()
    except FileExistsError:
        return False
    return True


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def test_status_is_a_document_for_scripts(shared: Machine) -> None:
    """The document has servers, services, consumers and dead letters; the exit code is 0 when all are ready."""
    status = shared.status()
    assert set(status) == {"servers", "services", "simulated", "devices", "consumers", "dead_letters"}
    assert status["devices"] == {
        "nats_url": f"nats://127.0.0.1:{status['servers'][0]['port']}",
        "mqtt_url": f"mqtt://127.0.0.1:{shared.stack.home.remembered_ports()['mqtt']}",
        "ca": None,
    }
    assert [server["name"] for server in status["servers"]] == ["nats", "postgres", "mongo", "s3", "mailbox"]
    assert set(status["servers"][0]) == {"name", "pid", "port", "ready"}
    assert [service["name"] for service in status["services"]] == list(SERVICE_NAMES)
    gateway = status["services"][-1]
    assert gateway == {**gateway, "pid": shared.pids()["gateway"], "ready": True, "version": "9.9"}
    assert set(status["consumers"][0]) == {"stream", "durable", "pending", "ack_pending"}
    assert status["dead_letters"] == 0


def test_only_owners_get_the_paths_of_keys(shared: Machine) -> None:
    """Each folder of keys has one owner: the catalogue signs bundles, accounts tokens, deploy devices' credentials."""
    shared.status()
    variables: dict[str, list[str]] = {}
    for name in SERVICE_NAMES:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{shared.ports()[name]}/readyz", timeout=60
        ) as response:
            variables[name] = json.load(response)["variables"]
    assert variables == {name: [] for name in SERVICE_NAMES} | {
        "accounts": ["K1_ACCOUNTS_KEYS"],
        "catalogue": ["K1_SIGNING_KEYS"],
        "deploy": ["K1_DEPLOY_DEVICE_MQTT_URL", "K1_DEPLOY_DEVICE_NATS_URL", "K1_DEPLOY_NATS_KEYS"],
    }
    assert not [name for name in shared.stack.environment if "KEYS" in name]


def test_simulated_devices_are_looked_after(machine: Machine) -> None:
    """They start after everything is ready, and again after a crash; their problems delay nothing else."""
    with running(machine, "--sim-devices", "3") as process:
        # The stub of deploy adds no devices, so their process ends with that sentence, again and again.
        log = machine.home / "logs" / "simulated-devices.log"
        wait_until(
            lambda: log.exists() and log.read_text().count("deploy service does not run") >= 2, "again"
        )
        (simulated,) = machine.status()["simulated"]
        assert (set(simulated), simulated["devices"]) == ({"pid", "devices", "running"}, 3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "simulated-devices starts again in 0.5 s" in err


def test_a_stack_on_a_network(machine: Machine) -> None:
    """`--listen`: the web address, NATS, MQTT and S3 speak TLS there; services and `status` trust the CA."""
    with running(machine, "--listen", "127.0.0.2", "--name", "127.0.0.2"):
        status, stack = machine.status(), machine.stack
    assert stack.url.startswith("https://127.0.0.2:")
    assert status["devices"] == {
        "nats_url": f"tls://127.0.0.2:{stack.home.remembered_ports()['nats']}",
        "mqtt_url": f"mqtts://127.0.0.2:{stack.home.remembered_ports()['mqtt']}",
        "ca": (machine.home / "tls" / "ca.pem").read_text(),
    }
    wanted = {"K1_NATS_CA", "K1_S3_CA", "K1_S3_URL", "K1_S3_PUBLIC_URL", "K1_GATEWAY_ALLOWED_HOSTS"}
    variables = dict(sorted((name, stack.environment[name]) for name in wanted))
    ca, s3 = str(machine.home / "tls" / "ca.pem"), f"https://127.0.0.2:{port_of(status, 's3')}"
    assert list(variables.values()) == ["127.0.0.2", ca, ca, s3, s3]


def port_of(status: dict[str, Any], server: str) -> int:
    return next(each["port"] for each in status["servers"] if each["name"] == server)


def test_a_second_up_says_so(shared: Machine) -> None:
    """Neither way of starting touches the running stack; both say how to see it and how to stop it."""
    home = shared.home
    for arguments in (("up",), ("up", "--detach")):
        assert shared.run(*arguments) == (
            1,
            "",
            f"k1: a stack already runs on {home}; `./k1 status --home {home}` shows it, `./k1 down --home {home}` stops it\n",
        )
    assert shared.status()["servers"]  # all of them answer


def test_detach_status_and_down(machine: Machine) -> None:
    """`up --detach` returns when everything is ready, `down` when everything has stopped; data stays."""
    port = free_port()
    code, out, err = machine.run("up", "--detach", "--port", str(port))
    stops = f"./k1 down --home {machine.home}"
    assert (code, out) == (
        0,
        (
            f"K1 Song Analysis is ready at http://127.0.0.1:{port} (`{stops}` stops it)\n"
            "open the page as administrator, once and within 15 minutes: "
            f"http://127.0.0.1:{port}/sign-in?token=works-once\n"
        ),
    ), err
    pids = machine.pids()
    code, out, err = machine.run("down")
    assert (code, out) == (0, "stopped\n"), err
    assert machine.run("down")[:2] == (1, "")
    assert not [name for name, pid in pids.items() if is_alive(pid)]


def test_ctrl_c_stops_what_detach_was_starting(machine: Machine) -> None:
    """Ctrl-C stops the detached start: it must not continue in the background."""
    with machine.start("up", "--detach", ingest="hang") as starting:
        wait_until(lambda: Home(machine.home).is_locked(), "the stack begins to start")
        starting.send_signal(signal.SIGINT)
        out, err = starting.communicate(timeout=PATIENCE_S)
    assert (starting.returncode, out, err) == (1, "", "k1: interrupted: what had started was stopped\n")
    assert not Home(machine.home).is_locked()


def test_a_service_that_cannot_start_is_quoted(machine: Machine) -> None:
    """The error names the service and quotes the end of its log; no process stays."""
    code, out, err = machine.run("up", "--detach", ingest="die")
    assert (code, out) == (1, "")
    assert "ingest ended with code 1" in err
    assert err.splitlines()[-2:] == [
        "no luck today",
        f"`./k1 doctor --home {machine.home}` looks for what is wrong with this machine",
    ]
    assert find_stack(machine.home) is None


def test_a_killed_supervisor_takes_everything_along(machine: Machine) -> None:
    """After `kill -9` of the supervisor neither server nor service stays."""
    with running(machine) as up:
        pids = machine.pids()
        up.kill()
        up.communicate()
    wait_until(lambda: not any(is_alive(pid) for pid in pids.values()), "everything ends")
    assert find_stack(machine.home) is None


def test_a_child_that_ignores_its_signal_is_killed_with_its_own_children(tmp_path: Path) -> None:
    """A stop ends also a process that ignores signals, and kills its whole session."""
    home = Home(tmp_path)
    home.create()
    process = ManagedProcess(home, "stubborn")
    process.start(Command(("/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $!; while :; do sleep 1; done")))
    wait_until(process.log_tail, "it has a child")
    pids = [process.pid, int(process.log_tail())]
    process.stop(patience=0.2)
    assert process.exit_code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids if pid), "both end")


def test_a_taken_port_is_named(machine: Machine) -> None:
    """`--port` of another program's server is refused before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = machine.run("up", "--port", str(port))
    assert code == 1
    assert f"port {port} is taken" in err
    assert f"`./k1 doctor --home {machine.home}`" in err


def test_a_full_disk_is_named(machine: Machine) -> None:
    """An error of the system says what to do and where to look further."""
    draft = machine.home / "run" / "ports.new"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.symlink_to("/dev/full")
    code, _, err = machine.run("up")
    draft.unlink()
    assert code == 1
    assert err.splitlines()[-1] == (
        "k1: No space left on device; free some space, or choose a home on another disk with --home; "
        f"`./k1 doctor --home {machine.home}` looks for what is wrong with this machine"
    )


def test_backoff_doubles_to_a_limit_and_forgets_after_a_quiet_minute() -> None:
    """0.5 s, 1 s, 2 s ... 30 s while a process keeps ending; 0.5 s again after it was stable."""
    backoff = Backoff(last_start=0.0)
    delays = []
    now = 0.0
    for _ in range(9):
        delays.append(backoff.plan_restart(now))
        now += delays[-1]
        backoff.record_start(now)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff.plan_restart(now + 61) == 0.5


ZYGOTE = """
import json, os, sys, time
from pathlib import Path
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.zygote import Zygote
folder, deadline = Path(sys.argv[1]), time.monotonic() + 120
zygote = Zygote(folder / "zygote.log")
def run(module, **environment):
    log = folder / f"{module}.log"
    child = zygote.spawn(Command((sys.executable, "-P", "-m", module), environment), log)
    while (parent := int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])) != os.getpid():
        assert time.monotonic() < deadline, parent
    return parent, child.wait(120), log.read_text()
found = [run("quotes", SAYING="well said"), run("absent_module"), run("sleeper")]
os.kill(zygote._process.pid, 9)
zygote._process.wait()
try:
    zygote.spawn(Command((sys.executable, "-P", "-m", "quotes")), folder / "late.log")
except StackError as error:
    found.append(str(error))
print(json.dumps([os.getpid(), *found]))
"""


def test_the_zygote_gives_real_children(tmp_path: Path) -> None:
    """Its forks become children of the supervisor, with environment, output and exit code; a killed zygote is an error."""
    (tmp_path / "quotes.py").write_text("import os; print(os.environ['SAYING'])")
    (tmp_path / "sleeper.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ZYGOTE, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    own_pid, quotes, absent, sleeper, late = json.loads(done.stdout)
    assert quotes[1:] == [0, "well said\n"]
    assert absent[1] == 1
    assert "No module named absent_module" in absent[2]
    assert sleeper[1] == -signal.SIGTERM
    assert {quotes[0], absent[0], sleeper[0]} == {own_pid}
    assert late == "the zygote has ended"
