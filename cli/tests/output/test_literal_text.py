"""Text from outside on every screen and picture of the command line is shown literally, never interpreted."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from cli.tests.command_runner import home_of_stack, run_k1
from cli.tests.deployment_samples import DEPLOYMENT, TRACK, at, rollback
from cli.tests.stub_gateway import StubGateway, stub_gateway
from cli.tests.terminal import print_to_pipe, print_to_terminal
from k1_cli.checkout import ROOT
from k1_cli.deployments.live_view import LiveView
from k1_cli.deployments.rendering import describe_end, render
from k1_cli.deployments.timeline.drawing import draw_timeline
from k1_cli.error_report import report_error
from k1_cli.output.console import LiteralConsole, print_json
from k1_cli.output.table import TextTable
from k1_cli.simulator.fleet_view import FleetView
from k1_contracts.escaping import escape_controls
from k1_contracts.messages.deploy.deployment_queries import LogLine
from k1_simulator.event_log import Change

HOSTILE = (
    "[/x]",
    "Song [dQw4w9WgXcQ]",
    "bad [/show]",
    ":smile:",
    "$\\frac{1}$ Ke$ha A$AP",
    "\x1b[31mred\x07",
    "{x}",
)
"""Texts that broke lists, disappeared from them, or reached the terminal unescaped."""
_odd = st.sampled_from(
    [*HOSTILE, "[bold]", "\\[", "\x00", "\x9b2J", "\u202e", "\u2028", "\r\n", '"', "'", "</svg>", "&"]
)
surrogates = st.lists(_odd | st.text(max_size=8) | st.characters(categories=["Cs"]), max_size=5).map("".join)
texts = st.lists(_odd | st.text(max_size=8), max_size=5).map("".join)
few = settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def is_clean(shown: str) -> bool:
    """Return whether the text consists of lines of printable characters."""
    return escape_controls(shown, keep_lines=True) == shown


@given(surrogates)
@few
def test_a_console_shows_what_it_is_given(text: str) -> None:
    """Whatever options the caller gives: no markup, no emoji codes, no control sequences; also not in a Text."""
    for options in ({}, {"markup": True, "emoji": True, "highlight": True}):
        shown = print_to_terminal(text, width=10_000, **options)
        assert shown == escape_controls(text, keep_lines=True) + "\n"
    assert is_clean(print_to_terminal(Text(text), width=10_000))


@given(st.lists(st.tuples(surrogates, surrogates, surrogates), max_size=5), st.integers(40, 120))
@few
def test_a_table_fits_the_screen(rows: list[tuple[str, str, str]], width: int) -> None:
    """No line is too wide, nothing raises, and through a pipe no cell is cut."""
    table = TextTable(
        ("id", "title", "at"), flexible=("id", "title", "at"), cut_in_middle=("id",), right_aligned=("at",)
    )
    for name, title, when in rows:
        table.add(name, Text(title), when, note=title)
    shown = print_to_terminal(table, width=width)
    assert is_clean(shown)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    piped = print_to_pipe(table, width=width)
    assert is_clean(piped)
    for row in rows:
        assert all(escape_controls(cell).strip() in piped for cell in row)


@given(text=surrogates)
@few
def test_json_is_read_back(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The document is one line without control characters and has the same value."""
    print_json({text: [text]})
    line = capsys.readouterr().out
    assert is_clean(line)
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(json.dumps({text: [text]}))  # two surrogates may be one character


@given(text=surrogates)
@few
def test_an_error_of_any_text_can_be_shown(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Also an unexpected error is printed in one piece."""
    assert report_error(RuntimeError(text), debug=False) == 1
    shown = capsys.readouterr().err
    assert is_clean(shown)
    assert escape_controls(text, keep_lines=True) in shown


@given(texts)
@few
def test_a_deployment_of_any_text_can_be_watched(text: str) -> None:
    """Any text is shown in reason, title, log and details."""
    hostile = rollback().model_copy(
        update={"reason": text, "log": [LogLine(seq=1, at=at(1), text=text, device_id="k1-07")]}
    )
    live = LiveView(hostile, text)
    shown = print_to_terminal(render(live, at(5)), describe_end(live))
    assert is_clean(shown)
    assert "rolled back" in shown


@given(texts)
@few
def test_a_simulated_device_of_any_text_can_be_watched(text: str) -> None:
    view = FleetView()
    view.add_change(Change(0.0, "d1", "fault", text))
    assert is_clean(print_to_terminal(view.draw({})))


@given(surrogates)
@settings(max_examples=8)
def test_a_timeline_of_any_text_can_be_drawn(text: str) -> None:
    """Names are not parsed as formulas, and a name of one line does not change the size of the picture."""
    picture = draw_timeline(rollback(), f"$x_$ {text} {{")
    assert struct.unpack(">II", picture[16:24])[0] == 1430


@pytest.fixture(scope="module")
def gateway() -> Iterator[StubGateway]:
    with stub_gateway() as stub:
        yield stub


@pytest.fixture(scope="module")
def home(gateway: StubGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with home_of_stack(tmp_path_factory.mktemp("home"), gateway.url) as home:
        yield str(home.root)


def fill(gateway: StubGateway, text: str) -> None:
    """Set responses in which every free text is `text`."""
    when = "2026-05-01T20:15:30.000Z"
    track = {
        "id": TRACK, "title": text, "artist": text, "tags": [text], "status": "ready", "current_version": 1,
        "created_at": when, "updated_at": when, "filename": text, "audio": {"key": text},
    }  # fmt: skip
    deployment = rollback().model_copy(update={"reason": text, "requested_by": text})
    summary = deployment.model_dump(mode="json", exclude_none=True)
    device = {
        "id": "k1-07", "transport": "nats", "online": True, "added_at": when, "firmware": text, "model": text,
        "alarms": [{"code": "drift", "message": text}], "node_types": [text],
    }  # fmt: skip
    graph = {
        "name": text,
        "nodes": [{"id": text, "type": text, "inputs": {text: text}}],
        "meta": {"reasons": [{"text": text}]},
    }
    gateway.on("GET /tracks", (200, {"total": 1, "items": [track]}))
    gateway.on(f"GET /tracks/{TRACK}", (200, {"track": track, "versions": []}))
    gateway.on(f"GET /tracks/{TRACK}/versions/1/graph", (200, graph))
    gateway.on("GET /deployments", (200, {"total": 1, "items": [summary]}))
    gateway.on(f"GET /deployments/{DEPLOYMENT}", (200, summary))
    gateway.on(f"POST /deployments/{DEPLOYMENT}/cancel", (409, {"code": "deployment_state", "detail": text}))
    gateway.on("GET /devices", (200, {"total": 1, "items": [device]}))
    gateway.on("GET /devices/k1-07", (200, device))


COMMANDS = (
    ("tracks",),
    ("tracks", TRACK),
    ("graph", TRACK),
    ("deployments", "list"),
    ("deployments", "show", DEPLOYMENT),
    ("devices", "list"),
    ("devices", "show", "k1-07"),
)


@given(text=texts)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_command_shows_it(
    capfd: pytest.CaptureFixture[str], gateway: StubGateway, home: str, text: str
) -> None:
    """The text is whole and escaped in lists, in details and in an error of the gateway."""
    fill(gateway, text)
    for command in COMMANDS:
        done = run_k1(capfd, *command, "--home", home)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert is_clean(done.stdout)
        assert escape_controls(text).strip() in done.stdout.replace("\n", "\\n"), command
    refused = run_k1(capfd, "deployments", "cancel", DEPLOYMENT, "--home", home)
    assert refused.returncode == 1
    assert is_clean(refused.stderr)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_that_broke_the_list_is_listed(
    capfd: pytest.CaptureFixture[str], gateway: StubGateway, home: str, text: str
) -> None:
    """It is listed as the title of a track and as the reason of a deployment."""
    fill(gateway, text)
    assert escape_controls(text) in run_k1(capfd, "tracks", "--home", home).stdout
    assert escape_controls(text) in run_k1(capfd, "deployments", "list", "--home", home).stdout


def test_arguments_are_shown_literally(capfd: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments are escaped too: a file name may come from anywhere."""
    done = run_k1(capfd, "\x1b[31m[/x]\udce9")
    assert done.returncode == 2
    assert "\\x1b[31m[/x]" in done.stderr
    assert is_clean(done.stderr)


def test_a_home_that_is_not_utf8_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written: the servers could not read settings with this name."""
    done = run_k1(capfd, "up", "--home", "/tmp/h\udce9me")
    assert done.returncode == 2
    assert "the name of the folder /tmp/h\\xe9me is not UTF-8" in done.stderr


def test_no_other_console_is_made() -> None:
    """Only the consoles of `k1_cli.output.console` write to a terminal, so no code can forget to escape."""
    forbidden = (" Console(", "from_markup(", "typer.echo(", "typer.secho(", "\n    print(")
    found = [
        f"{path.relative_to(ROOT)}: {way}"
        for path in sorted((ROOT / "cli" / "k1_cli").rglob("*.py"))
        if path.name != "console.py"
        for way in forbidden
        if way in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_a_wish_for_markup_is_not_heeded(tmp_path: Path) -> None:
    """A console created with markup does not interpret it either."""
    with (tmp_path / "out").open("w+", encoding="utf-8") as file:
        LiteralConsole(file=file, force_terminal=True, color_system=None).print(
            "[red]:smile:[/red]", markup=True
        )
        file.seek(0)
        assert file.read() == "[red]:smile:[/red]\n"


def test_every_hint_is_made_in_one_place() -> None:
    """Only `k1_cli.output.hints` writes `./k1 ...`, because it adds the home."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "cli" / "k1_cli").rglob("*.py"))
        if path.name != "hints.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if "`./k1 " in line
    ]
    assert found == []
