"""`k1 up`, `k1 down`, `k1 status`."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.console import messages, print_json, results
from k1_cli.errors import CommandError
from k1_cli.options import HomeOption, JsonOption

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PAUSE = 0.05
_STOP_PATIENCE = 60.0
_SIMULATED = 4


def up(
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[
        int | None, typer.Option(help="The port of the web address; a free one by default.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Come back when all is ready; `k1 down` stops it.")
    ] = False,
    sim_devices: Annotated[
        int,
        typer.Option("--sim-devices", min=0, max=1000, help="So many simulated K1s beside it; 0 for none."),
    ] = _SIMULATED,
) -> None:
    """Start the servers and every service, print the URL; Ctrl-C stops all.

    Example: ./k1 up --port 8080
    """
    if detach:
        _up_in_the_background(home, port, sim_devices)
        return
    from k1_cli.supervisor import Supervisor

    supervisor = Supervisor(home, port=port, simulated=sim_devices, say=_say)
    with _every_end_is_an_interrupt():
        try:
            supervisor.start()
            results.print(f"K1 Song Analysis is ready at {supervisor.url} (Ctrl-C stops it)")
            supervisor.watch()
        except KeyboardInterrupt:
            _say("stopping")
        finally:
            for number in _ENDS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
            supervisor.stop()


@contextmanager
def _every_end_is_an_interrupt() -> Generator[None]:
    """Ctrl-C, `k1 down` and a closed terminal all raise KeyboardInterrupt here."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    messages.print(f"k1: {line}")


def _up_in_the_background(home: Path, port: int | None, sim_devices: int) -> None:
    from k1_cli.embedded.home import Home
    from k1_cli.running import find_stack

    place = Home(home)
    place.create()
    if place.is_locked():
        raise CommandError(f"a stack already runs on {place.root}; `./k1 status` tells more")
    argv = [sys.executable, "-P", "-m", "k1_cli", "up", "--home", str(place.root)]
    argv += ["--sim-devices", str(sim_devices)]
    argv += [] if port is None else ["--port", str(port)]
    log = place.logs / "supervisor.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    while process.poll() is None:
        stack = find_stack(place.root)
        if stack is not None and stack.pid == process.pid:
            results.print(f"K1 Song Analysis is ready at {stack.url} (`./k1 down` stops it)")
            return
        time.sleep(_PAUSE)
    raise CommandError(f"the stack did not start; {log} says:\n{log.read_text(errors='replace').strip()}")


def down(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the stack that runs on a home; nothing to do is fine too.

    Example: ./k1 down
    """
    import psutil

    from k1_cli.running import find_stack

    stack = find_stack(home)
    if stack is None:
        results.print("nothing runs here")
        return
    try:
        process = psutil.Process(stack.pid)
        process.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    deadline = time.monotonic() + _STOP_PATIENCE
    while stack.home.is_locked():
        if time.monotonic() > deadline:
            raise CommandError(
                f"process {stack.pid} still stops after {_STOP_PATIENCE:.0f} s; see {stack.home.logs}"
            )
        time.sleep(_PAUSE)
    results.print("stopped")


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Servers, services, the lag of each consumer, dead letters. Fails when something is not ready.

    Example: ./k1 status --json
    """
    from k1_cli.running import need_stack
    from k1_cli.status import read_status
    from k1_cli.status_table import status_tables

    stack = need_stack(home)
    found = read_status(stack)
    if as_json:
        print_json(found.to_json())
    else:
        for part in status_tables(stack.url, found):
            results.print(part)
    if not found.all_ready:
        raise typer.Exit(1)
