"""`k1 up` and `k1 down` with stubs of the services and real servers: starting, stopping, and what goes wrong."""

import signal
import socket

from cli.tests.stack.machine import Machine, running
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.running_stack import find_stack
from k1_cli.stack.services import SERVICE_NAMES
from k1_cli.stack.supervisor import Backoff
from tests.support.processes import is_alive
from tests.support.waiting import PATIENCE_S, wait_until


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


def test_a_taken_port_is_named(machine: Machine) -> None:
    """`--port` of another program's server is refused before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = machine.run("up", "--port", str(port))
    assert code == 1
    assert f"port {port} is taken" in err
    assert f"`./k1 doctor --home {machine.home}`" in err


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
