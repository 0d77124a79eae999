"""The command line for people and scripts: exit codes, one sentence per error, JSON."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.tests.command_runner import CommandResult, run_k1
from k1_cli.app import split_debug_option
from k1_cli.checkout import ROOT

COMMANDS = (
    "up", "down", "status", "doctor", "upload", "tracks", "genesis", "analyze", "demo-song", "test", "check",
    "simulate", "graph", "export", "similar",
    "devices add", "devices revoke", "devices list", "devices show", "deploy", "alarms", "alarms ack", "fleet",
    "deployments list", "deployments show", "deployments cancel", "deployments rollback", "deployments pause",
    "deployments resume",
    "compose init", "containers test", "containers run", "containers down",
    "storage usage", "storage cleanup", "links make", "links list", "links revoke",
    "dlq list", "dlq show", "dlq redrive", "dlq purge",
)  # fmt: skip


class K1:
    """Runs the command line in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str) -> CommandResult:
        return run_k1(self._capfd, *arguments)


@pytest.fixture
def k1(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> K1:
    """Runs `k1` in an empty folder, on a home where nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("K1_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("K1_AUTH", raising=False)
    return K1(capfd)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(k1: K1, command: str) -> None:
    """`--help` works and shows a line that can be typed."""
    done = k1(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Example: ./k1 {command}" in done.stdout
    assert "...]" not in done.stdout
    assert "...}" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tracks",), "/home; start it with `./k1 up --home "),
        (("status", "--json"), "nothing runs on"),
        (("dlq", "list"), "nothing runs on"),
        (("genesis", "trk_1"), "nothing runs on"),
        (("graph", "trk_1"), "nothing runs on"),
        (("simulate", "trk_1", "--html", "show.html"), "nothing runs on"),
        (("simulate", "trk_1", "--graph", "absent.json"), "cannot read absent.json: No such file"),
        (("simulate", "trk_1", "--graph", "song.wav"), "song.wav is not JSON: it is not UTF-8 text"),
        (("devices", "list"), "nothing runs on"),
        (("devices", "add", "k1-1"), "nothing runs on"),
        (("devices", "add", "k1.1"), "k1.1 is no name of a device or group"),
        (("deploy", "trk_1", "--all"), "nothing runs on"),
        (("deployments", "list"), "nothing runs on"),
        (("upload", "absent.mp3"), "there is no file absent.mp3"),
        (("analyze", "absent.mp3"), "there is no file absent.mp3"),
        (("demo-song", "song.mp3"), "song.mp3 must end in .wav"),
        (("demo-song", "song.wav", "--bpm", "5"), "the tempo must lie between 60 and 200 BPM, not 5"),
        (
            ("demo-song", "no/such/folder/song.wav"),
            "cannot write no/such/folder/song.wav: No such file or directory",
        ),
        (("up", "--home", "/proc/nowhere"), "cannot write the home folder /proc/nowhere"),
        (("up", "--home", "/proc/nowhere"), "`./k1 doctor --home /proc/nowhere` looks for what is wrong"),
        (("up", "--name", "stage"), "give --listen, too"),
        (("up", "--listen", "stage"), "stage is no IP address"),
        (("up", "--listen", "192.0.2.1"), "192.0.2.1 is no address of this machine; `ip address` lists them"),
        (("up", "--listen", "0.0.0.0"), "give its name or address with --name"),
        (
            ("up", "--listen", "127.0.0.2", "--name", "192.0.2.1"),
            "192.0.2.1 leads to 192.0.2.1, not to this stack",
        ),
        (("up", "--listen", "127.0.0.2", "--tls-cert", "a"), "--tls-cert and --tls-key belong together"),
        (("up", "--listen", "127.0.0.2", "--tls-cert", "a", "--tls-key", "b"), "a and b are no certificate"),
        (("up", "--detach", "--home", "/proc/nowhere"), "cannot write the home folder /proc/nowhere"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(k1: K1, arguments: Sequence[str], sentence: str) -> None:
    """Exit code 1, one line on standard error, nothing on standard output, no stack trace."""
    Path("song.wav").write_bytes(b"RIFF\x88")
    done = k1(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("k1: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interrupt_is_no_stack_trace(tmp_path: Path) -> None:
    """It holds also in the first second, during the imports."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-m", "k1_cli", "tracks"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_debug_adds_the_stack_trace(k1: K1) -> None:
    """The sentence is the same, after the stack trace."""
    done = k1("analyze", "absent.mp3", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("k1: there is no file absent.mp3\n")


def test_a_wrong_use_is_code_2(k1: K1) -> None:
    """An unknown command or a missing argument is a usage error."""
    assert k1("sing").returncode == 2
    assert k1("up", "--port", "80000").returncode == 2
    Path("file").touch()
    refused = k1("tracks", "--home", "file")
    assert (refused.returncode, "Invalid value for '--home'" in refused.stderr) == (2, True)
    assert k1("upload").returncode == 2
    assert k1("dlq", "purge").returncode == 2
    assert k1("dlq", "purge", "3", "--all").returncode == 2


def test_a_file_that_is_no_audio_is_refused_in_a_sentence(k1: K1, tmp_path: Path) -> None:
    """The error code of the engine is printed."""
    (tmp_path / "notes.mp3").write_text("not a song")
    done = k1("analyze", "notes.mp3", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "notes.mp3 cannot be analysed" in done.stderr
    assert "(decode_failed)" in done.stderr


def test_down_without_a_stack_says_so(k1: K1) -> None:
    """Stopping a home without a stack is an error."""
    done = k1("down")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was stopped" in done.stderr


def test_doctor_prints_json(k1: K1) -> None:
    """Each finding says what was checked, whether it is ok, and what to do."""
    done = k1("doctor", "--json")
    report = json.loads(done.stdout)
    assert report["healthy"] is (done.returncode == 0)
    assert {"what", "ok", "remedy"} == set(report["findings"][0])
    assert any(finding["what"].startswith("server postgres") for finding in report["findings"])


def test_a_demo_song_can_be_analysed_without_a_server(k1: K1, tmp_path: Path) -> None:
    """`analyze --json` prints a Genesis map v4 with the song's tempo and drops; picture, clicks, beats on the side."""
    assert k1("demo-song", "song.wav").returncode == 0
    done = k1(
        "analyze", "song.wav", "--json", "--beats", "beats.txt", "--plot", "map.png", "--click", "click.wav"
    )
    assert done.returncode == 0, done.stderr
    genesis = json.loads(done.stdout)
    assert genesis["metadata"]["version"] == "4.0.0"
    assert genesis["global_metrics"]["bpm"] == pytest.approx(126, abs=1)
    sections = json.loads((tmp_path / "song.json").read_text())["sections"]
    drops_ms = [1000 * section["start"] for section in sections if section["label"] == "drop"]
    assert genesis["layers"]["annotations"]["drops"] == pytest.approx(drops_ms, abs=20)
    beats_ms = [
        round(1000 * float(line.split()[0]), 1) for line in (tmp_path / "beats.txt").read_text().splitlines()
    ]
    assert beats_ms == genesis["layers"]["rhythm"]["beat_grid_ms"]
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "click.wav").read_bytes().startswith(b"RIFF")
    unwritable = k1("analyze", "song.wav", "--beats", "no/such/folder/beats.txt")
    assert unwritable.returncode == 1
    assert "cannot write no/such/folder/beats.txt" in unwritable.stderr


def test_the_tests_get_their_arguments_untouched(k1: K1) -> None:
    """`k1 test` hands everything to pytest and gives its exit code back."""
    nothing_collected = 5
    done = k1("test", "-n0", "--collect-only", "cli/tests/songs/test_demo_song.py", "-k", "absent")
    assert done.returncode == nothing_collected, done.stderr
    assert "deselected" in done.stdout


@given(st.lists(st.sampled_from(["--debug", "test", "upload", "x", "--json"]), max_size=6))
def test_debug_is_ours_before_test_and_pytests_after(arguments: list[str]) -> None:
    """No other argument is lost or moved."""
    debug, kept = split_debug_option(arguments)
    ours = arguments[: arguments.index("test")] if "test" in arguments else arguments
    assert debug == ("--debug" in ours)
    assert [argument for argument in ours if argument != "--debug"] + arguments[len(ours) :] == kept


def test_the_script_works_from_anywhere_through_a_symlink(tmp_path: Path) -> None:
    """`k1` finds its checkout from another folder and through links to links."""
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "one").symlink_to(ROOT / "k1")
    (tmp_path / "two").symlink_to("a folder/one")
    done = subprocess.run(
        [tmp_path / "two", "down", "--home", tmp_path], capture_output=True, text=True, check=False, cwd="/"
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr == f"k1: nothing runs on {tmp_path}, so nothing was stopped\n"


def test_the_script_says_which_python_it_needs(tmp_path: Path) -> None:
    """On a machine without a suitable Python the message names the versions and a way to get one."""
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    checkout.mkdir()
    tools.mkdir()
    (checkout / "k1").write_bytes((ROOT / "k1").read_bytes())
    for tool in ("cksum", "cat", "dirname", "readlink"):
        found = next(folder for folder in map(Path, os.defpath.split(":")) if (folder / tool).exists())
        (tools / tool).symlink_to(found / tool)
    done = subprocess.run(
        ["/bin/sh", checkout / "k1", "up"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools)},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("k1: no Python 3.11, 3.12 or 3.13 found on the PATH")


FAKE_PYTHON = """#!/bin/sh
case "$*" in
    -c*|*"pip --version") exit 0 ;;
    *--requirement*)
        echo 'Collecting python-dateutil==2.9 (from a lock)'; echo 'WARNING: odd' >&2; printf 'ERROR: cut off' >&2
        grep -o '^[a-z0-9]*' "${0%/bin/python}/requirements.txt" | tr '\\n' ' ' >>"$RECORD"
        [ -z "${BROKEN-}" ] ;;
    *pip*) ;;
    *k1_cli*) echo >>"$RECORD" ;;
esac
"""


def make_checkout(folder: Path) -> dict[str, str]:
    """Copy what the script needs into a folder, with a stub of Python that logs its arguments."""
    files = {
        "k1": (ROOT / "k1").read_text(),
        "requirements.lock": "one==1 \\\n    --hash=sha256:0\ntwo==2 ; python_version < '3' \\\n    --hash=sha256:0\n",
        "requirements-development.txt": "# Comment\ntwo\n",
        ".venv/bin/python": FAKE_PYTHON,
        **{f"{name}/pyproject.toml": "" for name in ("libs/a", "services/b", "simulator", "cli")},
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return files


def test_warnings_of_pip_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    """On a terminal the progress line is overwritten and never mixed with others; through a pipe nothing is lost."""
    make_checkout(tmp_path)
    ours, theirs = pty.openpty()
    command = ["/bin/sh", str(tmp_path / "k1"), "status"]
    environment = {"PATH": os.defpath, "RECORD": os.devnull}
    subprocess.run(command, check=True, env=environment, stderr=theirs)
    os.close(theirs)
    shown = b"".join(iter(lambda: _read_terminal(ours), b"")).decode()
    os.close(ours)
    assert "\r\x1b[KWARNING: odd\r\n" in shown
    assert "\r\x1b[KERROR: cut off\r\n" in shown
    assert "\rk1: fetching 1 of 1 packages: python-dateutil\x1b[K" in shown
    (tmp_path / ".venv" / ".k1-stamp").unlink()
    piped = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert "WARNING: odd\nERROR: cut off\n" in piped.stderr
    assert "\x1b" not in piped.stderr


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # what Linux says of a terminal that everybody has left
        return b""


def test_the_script_installs_what_the_command_needs(tmp_path: Path) -> None:
    """Running needs fewer packages than testing; a complete installation is kept, an interrupted one repeated."""
    files = make_checkout(tmp_path)

    def installed(*arguments: str, **environment: str) -> list[str]:
        """Return what each run installed, and a line when the script reached the command."""
        record = tmp_path / "record"
        record.write_text("")
        subprocess.run(
            ["/bin/sh", tmp_path / "k1", *arguments],
            check=False,
            capture_output=True,
            env={"PATH": os.defpath, "RECORD": str(record), **environment},
        )
        return record.read_text().splitlines()

    assert installed("up", BROKEN="1") == ["one "], "the command is not reached"
    assert installed("--debug", "up", "test") == ["one "]
    assert installed("status") == [""]
    assert installed("--debug", "test", "cli") == ["one two "]
    assert installed("check") == [""]
    assert installed("up") == [""]
    (tmp_path / "requirements.lock").write_text(files["requirements.lock"].replace("==2", "==3"))
    assert installed("up") == ["one two "], "an environment for tests stays one"
    assert installed("test") == [""]
