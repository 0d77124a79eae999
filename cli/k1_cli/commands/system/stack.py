"""The commands `k1 up`, `k1 down` and `k1 status`: start and stop the stack, show its status."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import errno
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption
from k1_cli.errors import CommandError, ExplainedError
from k1_cli.output.console import messages, print_json, results
from k1_cli.output.full_disk import FREE_SPACE_ADVICE, FULL_DISK_ERRNOS, add_advice
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_cli.stack.listen_options import ListenOptions

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PAUSE = 0.05
_STOP_PATIENCE = 60.0
_DEFAULT_SIMULATED = 4


def up(
    *,
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port of the web address; a free one by default."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            envvar="K1_LISTEN",
            metavar="ADDRESS",
            help="Let other machines connect: the IP address of this machine on which the web address, NATS, MQTT and "
            "the object store listen, with TLS.",
            show_default="127.0.0.1, this machine alone",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            envvar="K1_LISTEN_NAMES",
            help="With --listen: the names of this machine for others; the first is used in URLs and credentials.",
            show_default="the address",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            envvar="K1_TLS_CERT", help="With --listen: your certificate (PEM); one is made by default."
        ),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(envvar="K1_TLS_KEY", help="Its private key (PEM).")] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            envvar="K1_TLS_CA", help="The CA certificate that devices need to trust it; none for a public CA."
        ),
    ] = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help="With --listen: no encryption, also of passwords and songs.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is ready; `k1 down` stops it.")
    ] = False,
    sim_devices: Annotated[
        int,
        typer.Option("--sim-devices", min=0, max=1000, help="The number of simulated K1s; 0 for none."),
    ] = _DEFAULT_SIMULATED,
) -> None:
    """Start the servers and all services, print the URL; Ctrl-C stops everything.

    Example: ./k1 up --listen 192.168.1.5 --name stage.local --port 8443
    """
    from k1_cli.stack.listen_options import ListenOptions

    listening = ListenOptions(listen, tuple(name or ()), tls_cert, tls_key, tls_ca, tls=not no_tls)
    for line in listening.warnings():
        messages.print(f"k1: {line}", style="yellow")
    with _explain_failures(home):
        if detach:
            _run_detached(home, port, sim_devices, listening)
        else:
            _run_attached(home, port, sim_devices, listening)


def _run_attached(home: Path, port: int | None, sim_devices: int, listening: "ListenOptions") -> None:
    from k1_cli.stack.supervisor import Supervisor

    network = listening.network(home)
    supervisor = Supervisor(home, port=port, simulated=sim_devices, say=_say, network=network)
    with _stop_signals_interrupt():
        try:
            supervisor.start()
            results.print(f"K1 Song Analysis is ready at {supervisor.url} (Ctrl-C stops it)")
            results.print(_describe_link(supervisor.sign_in_link))
            supervisor.watch()
        except KeyboardInterrupt:
            _say("stopping")
        finally:
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stop
            supervisor.stop()


def _describe_link(link: str) -> str:
    return f"open the page as administrator, once and within 15 minutes: {link}"


@contextmanager
def _explain_failures(home: Path) -> Generator[None]:
    """Turn every error of a start into one that says what to do next.

    Raises:
        ExplainedError: the block raised an error.
    """
    from k1_cli.stack.embedded.errors import HomeInUseError, StackError

    try:
        yield
    except ExplainedError:
        raise
    except HomeInUseError as error:
        shows, stops = k1_command("status", home), k1_command("down", home)
        raise ExplainedError(f"{error}; {shows} shows it, {stops} stops it") from error
    except (CommandError, StackError) as error:
        raise ExplainedError(_add_doctor_hint(str(error), home)) from error
    except OSError as error:
        raise ExplainedError(_add_doctor_hint(_describe_os_error(error), home)) from error


def _add_doctor_hint(sentence: str, home: Path) -> str:
    """Return the sentence with a hint to `k1 doctor`, on a new line where the sentence quotes a log."""
    sentence = add_advice(sentence)
    separator = "\n" if "\n" in sentence else "; "
    return f"{sentence}{separator}{k1_command('doctor', home)} looks for what is wrong with this machine"


def _describe_os_error(error: OSError) -> str:
    """Return what happened, to which file, and what to do."""
    what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    advice = {
        **dict.fromkeys(FULL_DISK_ERRNOS, FREE_SPACE_ADVICE),
        errno.EACCES: "; choose a home of your own with --home",
        errno.EPERM: "; choose a home of your own with --home",
        errno.EROFS: "; choose a home on another disk with --home",
        errno.EMFILE: "; raise the limit of open files: ulimit -n 1024",
    }
    return what + advice.get(error.errno or 0, "")


@contextmanager
def _stop_signals_interrupt() -> Generator[None]:
    """Let Ctrl-C, `k1 down` and a closed terminal raise KeyboardInterrupt in the block."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    """Print a line for the person at the terminal; ignore a failure, as on a full disk: the stack goes on."""
    with suppress(OSError):
        messages.print(f"k1: {line}")


def _run_detached(home: Path, port: int | None, sim_devices: int, listening: "ListenOptions") -> None:
    from k1_cli.stack.embedded.errors import HomeInUseError
    from k1_cli.stack.embedded.home import Home
    from k1_cli.stack.running_stack import find_stack

    home_folder = Home(home)
    home_folder.create()
    if home_folder.is_locked():
        raise HomeInUseError(home_folder.root)
    argv = [sys.executable, "-P", "-m", "k1_cli", "up", "--home", str(home_folder.root)]
    argv += ["--sim-devices", str(sim_devices)]
    argv += [] if port is None else ["--port", str(port)]
    argv += listening.arguments()
    log = home_folder.logs / "supervisor.log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log_file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while process.poll() is None:
            stack = find_stack(home_folder.root)
            if stack is not None and stack.pid == process.pid:
                stops = k1_command("down", home)
                results.print(f"K1 Song Analysis is ready at {stack.url} ({stops} stops it)")
                results.print(_describe_link(stack.sign_in_link))
                return
            time.sleep(_PAUSE)
    except KeyboardInterrupt as error:
        process.terminate()
        process.wait()
        raise ExplainedError("interrupted: what had started was stopped") from error
    output = log.read_text(errors="replace").strip()
    if not output:
        raise CommandError(f"the stack did not start and could not write {log}; is the disk full?")
    raise ExplainedError(f"the stack did not start; {log} says:\n{output}")


def down(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the stack that runs on a home; fails when no stack runs.

    Example: ./k1 down
    """
    import psutil

    from k1_cli.stack.embedded.home import Home
    from k1_cli.stack.running_stack import find_stack

    stack = find_stack(home)
    if stack is None:
        raise CommandError(f"nothing runs on {Home(home).root}, so nothing was stopped")
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
    """Show servers, services, the lag of each consumer and dead letters; fails when something is not ready.

    Example: ./k1 status --json
    """
    from k1_cli.stack.listen_options import network_lines
    from k1_cli.stack.running_stack import require_stack
    from k1_cli.stack.status import read_status
    from k1_cli.stack.status_table import status_tables

    stack = require_stack(home)
    found = read_status(stack)
    if as_json:
        print_json(found.to_json())
    else:
        for part in status_tables(stack.url, found):
            results.print(part)
        for line in network_lines(stack.network, found.devices):
            results.print(line)
    if not found.all_ready:
        raise typer.Exit(1)
