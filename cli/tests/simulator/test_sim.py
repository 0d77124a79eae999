"""`k1 sim` without a stack: options, lock, view. tests/e2e/test_deployments.py runs it with a stack."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cli.tests.terminal import print_to_pipe
from k1_cli.errors import CommandError
from k1_cli.simulator.fleet_runner import FleetOptions, lock_prefix, run_devices
from k1_cli.simulator.fleet_view import MAX_ROWS, FleetView
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_simulator.device import DeviceState
from k1_simulator.event_log import Change


def options(devices: int, prefix: str = "k1-sim") -> FleetOptions:
    return FleetOptions(devices, "nats", None, 0, prefix, None, factory=False, renew=False)


def state(number: int, *, online: bool = True, received: int | None = None) -> DeviceState:
    active = RunningBundle(bundle_sha256="a" * 64, version=3) if number % 2 else None
    return DeviceState(
        f"d{number}", online, active, ("b" * 64,), 7, None, received, None if online else "refused"
    )


def drawn(states: list[DeviceState], *changes: Change) -> str:
    view = FleetView()
    for change in changes:
        view.add_change(change)
    return print_to_pipe(view.draw({one.device_id: one for one in states}), width=120)


@pytest.mark.parametrize(("devices", "readings"), [(1, 1), (100, 1), (500, 5), (1000, 10), (5000, 10)])
def test_many_devices_share_messages(devices: int, readings: int) -> None:
    """A process sends about a thousand messages per second, and delays no reading for more than a second."""
    assert options(devices).behaviour.readings_a_message == readings


def test_devices_of_a_prefix_run_once(tmp_path: Path) -> None:
    """A second process gets an error, and may run after the first has ended."""
    with (
        lock_prefix(tmp_path, "k1-sim"),
        lock_prefix(tmp_path, "other"),
        pytest.raises(CommandError, match="run already"),
        lock_prefix(tmp_path, "k1-sim"),
    ):
        pass
    with lock_prefix(tmp_path, "k1-sim"):
        pass


def test_without_a_stack_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nothing runs on"):
        run_devices(tmp_path, options(1), as_json=False)


@pytest.mark.parametrize("prefix", ["", "../x", "a b", "x" * 36, "a.b"])
def test_a_prefix_begins_device_ids(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(CommandError, match="begins no device ids"):
        run_devices(tmp_path, options(1, prefix), as_json=False)


def test_a_few_devices_have_a_row_each() -> None:
    """The row shows what the device plays, holds and does, and why it is offline."""
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
    """Shows and actions are counted, in a few lines."""
    states = [state(number, received=1000 if number < 10 else None) for number in range(MAX_ROWS * 4)]
    text = drawn(states)
    assert f"{MAX_ROWS * 4} of {MAX_ROWS * 4}" in text
    assert f"{MAX_ROWS * 2}" in next(line for line in text.splitlines() if "idle" in line)
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
def test_wrong_credential_files_are_named(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    """The error names the file and the command that makes a new one."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CommandError, match=re.escape(sentence.format(folder=tmp_path))):
        run_devices(tmp_path, replace(options(1), credentials=tmp_path), as_json=False)


def test_a_folder_of_credentials_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is an error, and leaves nothing behind."""
    with pytest.raises(CommandError, match="there is no folder"):
        run_devices(tmp_path, replace(options(1), credentials=tmp_path / "typo"), as_json=False)
    assert not (tmp_path / "typo").exists()
