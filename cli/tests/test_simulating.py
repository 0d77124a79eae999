"""`k1 sim` without a stack: plan, claim, picture. With one it runs in tests/e2e/test_deployments.py."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from k1_cli.console import LiteralConsole
from k1_cli.errors import CommandError
from k1_cli.fleet_picture import MOST_ROWS, FleetPicture
from k1_cli.simulated import Plan, claimed, run_devices
from k1_contracts.messages.device_link import RunningBundle
from k1_simulator.device import DeviceState
from k1_simulator.event_log import Change


def plan(devices: int, prefix: str = "k1-sim") -> Plan:
    return Plan(devices, "nats", None, 0, prefix, None, factory=False, renew=False)


def state(number: int, *, online: bool = True, received: int | None = None) -> DeviceState:
    active = RunningBundle(bundle_sha256="a" * 64, version=3) if number % 2 else None
    return DeviceState(
        f"d{number}", online, active, ("b" * 64,), 7, None, received, None if online else "refused"
    )


def drawn(states: list[DeviceState], *changes: Change) -> str:
    console = LiteralConsole(width=120)
    picture = FleetPicture()
    for change in changes:
        picture.note(change)
    with console.capture() as captured:
        console.print(picture.draw({one.device_id: one for one in states}))
    return captured.get()


@pytest.mark.parametrize(("devices", "readings"), [(1, 1), (100, 1), (500, 5), (1000, 10), (5000, 10)])
def test_many_devices_share_messages(devices: int, readings: int) -> None:
    """A process sends some thousand messages a second, and holds no reading back for more than a second."""
    assert plan(devices).habits.readings_a_message == readings


def test_devices_of_a_prefix_run_once(tmp_path: Path) -> None:
    """A second process is told so; after the first ended it may."""
    with (
        claimed(tmp_path, "k1-sim"),
        claimed(tmp_path, "other"),
        pytest.raises(CommandError, match="run already"),
        claimed(tmp_path, "k1-sim"),
    ):
        pass
    with claimed(tmp_path, "k1-sim"):
        pass


def test_without_a_stack_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nothing runs on"):
        run_devices(tmp_path, plan(1), as_json=False)


@pytest.mark.parametrize("prefix", ["", "../x", "a b", "x" * 36, "a.b"])
def test_a_prefix_begins_device_ids(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(CommandError, match="begins no device ids"):
        run_devices(tmp_path, plan(1, prefix), as_json=False)


def test_a_few_devices_have_a_row_each() -> None:
    """What it plays, what it holds besides, what it does, why it is away."""
    text = drawn(
        [state(1, received=42_000), state(2, online=False)], Change(0.0, "d1", "stage accepted", "why")
    )
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("d")}
    assert "v3 (aaaaaaaa)" in rows["d1"]
    assert "fetches 42 kB" in rows["d1"]
    assert "idle" in rows["d2"]
    assert "refused" in rows["d2"]
    assert "bbbbbbbb" in rows["d2"]
    assert "d1 stage accepted: why" in text


def test_many_devices_are_counted() -> None:
    """Shows and doings with their numbers, in a few lines."""
    states = [state(number, received=1000 if number < 10 else None) for number in range(MOST_ROWS * 4)]
    text = drawn(states)
    assert f"{MOST_ROWS * 4} of {MOST_ROWS * 4}" in text
    assert f"{MOST_ROWS * 2}" in next(line for line in text.splitlines() if "idle" in line)
    assert "10" in next(line for line in text.splitlines() if "fetches" in line)
    assert len(text.splitlines()) < 10


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "{folder} holds no credentials"),
        ({"a.creds": "broken"}, "{folder}/trusted-keys.json cannot be read"),
        (
            {"trusted-keys.json": "{}", "a.creds": "broken"},
            "{folder}/a.creds is no credential; `./k1 devices add --renew a`",
        ),
        ({"trusted-keys.json": "{}", "a.mqtt.json": "broken"}, "{folder}/a.mqtt.json is no credential"),
        ({"trusted-keys.json": "{}", "a.mqtt.json": "{}"}, "{folder}/a.mqtt.json is no credential"),
        ({"trusted-keys.json": "{}", "a.mqtt.json": "[]"}, "{folder}/a.mqtt.json is no credential"),
    ],
)
def test_files_that_are_none_are_named(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    """Which file it is, and what makes a new one: never a stack trace."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CommandError, match=re.escape(sentence.format(folder=tmp_path))):
        run_devices(tmp_path, replace(plan(1), credentials=tmp_path), as_json=False)


def test_a_folder_of_credentials_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is an error, and leaves nothing behind."""
    with pytest.raises(CommandError, match="there is no folder"):
        run_devices(tmp_path, replace(plan(1), credentials=tmp_path / "typo"), as_json=False)
    assert not (tmp_path / "typo").exists()
