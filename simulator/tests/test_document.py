"""Tests that docs/device-link.md agrees with the contracts and the simulator."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from k1_contracts.base import Contract
from k1_contracts.messages import telemetry
from k1_contracts.messages.deploy import device_link
from k1_contracts.messages.deploy.device_link import (
    COMMANDS,
    DEVICE_MAX_SUBSCRIPTIONS,
    ChunkHeader,
    DeviceBye,
    DeviceCommand,
    DeviceError,
    DeviceErrorCode,
    DeviceHello,
    DeviceReply,
    FetchChunk,
    ReplyCode,
    RunningBundle,
)
from k1_contracts.messages.telemetry import TelemetrySample
from k1_contracts.streams import DEVICE_MESSAGE_MAX_BYTES
from k1_deploy.devices.access.connection_table import MOST_CONNECTIONS
from k1_deploy.gates import SPACE_MARGIN_BYTES
from k1_graph.node_types.definitions import load_node_types
from k1_platform.nats.device_errors import BURST, PER_SECOND
from k1_simulator.faults import models as faults
from k1_simulator.faults.fault_file import parse_faults
from k1_simulator.links import link
from k1_simulator.state_machine import memory
from k1_simulator.transfers import download
from simulator.tests.document_tables import NAMED_PATTERNS, rows

TEXT = (Path(__file__).parents[2] / "docs" / "device-link.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json (\w+)\n(.*?)```", TEXT, re.DOTALL)


def _model(name: str) -> type[Contract]:
    module = device_link if hasattr(device_link, name) else telemetry
    return getattr(module, name)


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=[model for model, _ in EXAMPLES])
def test_examples_are_valid(model: str, example: str) -> None:
    """Each example fits its model, field by field, without unknown fields."""
    contract: type[Contract] = _model(model)
    body = json.loads(example)
    assert_within(body, json.loads(contract.model_validate(body).to_json()))


def assert_within(given: Any, read: Any) -> None:
    """Assert that all given values were read; defaults may be added."""
    if isinstance(given, dict):
        for key, value in given.items():
            assert_within(value, read[key])
    else:
        assert given == read


def test_every_verb_code_and_message_is_documented() -> None:
    """There is a section with an example for each verb, each code of a reply and each field of a reading."""
    assert {model for model, _ in EXAMPLES} >= {model.__name__ for model in COMMANDS.values()}
    for verb in COMMANDS:
        assert f"### {verb}\n" in TEXT
    for code in get_args(ReplyCode):
        assert f"`{code}`" in TEXT, code
    for field in TelemetrySample.model_fields:
        assert f"`{field}`" in TEXT, field


def test_every_fault_is_documented_with_its_fields() -> None:
    """Each fault has a row."""
    common = {"fault", *faults.Fault.model_fields, *faults.TelemetryFault.model_fields}
    for fault in (
        kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, faults.Fault)
    ):
        name = fault.model_fields.get("fault")
        if name is None:
            continue
        (fault_name,) = get_args(name.annotation)
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{fault_name}` |"))
        for field in set(fault.model_fields) - common:
            assert f"`{field}`" in row, (fault_name, field)


def test_the_example_of_a_fault_file_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(parse_faults(example).faults) == 3


def test_the_numbers_agree_with_the_code() -> None:
    """These are the kept replies, the retries and the timeouts."""
    assert f"at least the last {memory.ANSWERS_KEPT} commands" in TEXT
    assert download.MAX_FAILURES == 4
    assert "after four in a row" in TEXT
    assert f"wait up to {link.CHUNK_TIMEOUT_S:.0f} s" in TEXT
    assert all(f"{status}" in TEXT for status in (*sorted(download.PERMANENT_STATUSES),))


TABLES = re.findall(r"<!-- fields: (\w+) -->\n\|[^\n]*\|\n\|[ |-]*\|\n((?:\|[^\n]*\|\n)+)", TEXT)
MESSAGES = (
    *COMMANDS.values(), DeviceHello, RunningBundle, DeviceBye, DeviceReply,
    DeviceCommand, FetchChunk, ChunkHeader, TelemetrySample, DeviceError,
)  # fmt: skip


@pytest.mark.parametrize(("name", "table"), TABLES, ids=[name for name, _ in TABLES])
def test_a_table_has_the_fields_of_the_contract(name: str, table: str) -> None:
    """Fields, types and requirements are in the same order; a command's own fields without the common ones."""
    model = _model(name)
    common = frozenset(DeviceCommand.model_fields)
    own = issubclass(model, DeviceCommand) and model is not DeviceCommand
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().splitlines()]
    assert [row[:3] for row in cells] == rows(model, common if own else frozenset())
    assert all(row[3] for row in cells), "each field has a meaning"


def test_every_message_has_a_table() -> None:
    """Commands without their own fields are the exception, and the document says so."""
    common = set(DeviceCommand.model_fields)
    plain = {model for model in COMMANDS.values() if set(model.model_fields) == common}
    assert TEXT.count("No fields of its own.") == len(plain)
    assert {name for name, _ in TABLES} == {model.__name__ for model in MESSAGES if model not in plain}


def test_the_kinds_of_strings_agree_with_the_contracts() -> None:
    """Each has its pattern."""
    for pattern, kind in NAMED_PATTERNS.items():
        escaped = pattern.replace("|", "\\|")
        assert f"| {kind} | `{escaped}` |" in TEXT


def test_every_code_of_an_error_is_documented() -> None:
    """Each code has a row, and each message that a device sends or gets has an example."""
    for code in get_args(DeviceErrorCode):
        assert f"| `{code}` | " in TEXT, code
    assert {model for model, _ in EXAMPLES} >= {
        "DeviceHello", "DeviceBye", "DeviceReply", "FetchChunk", "ChunkHeader", "TelemetrySample", "DeviceError",
    }  # fmt: skip


def test_the_limits_agree_with_the_code() -> None:
    """These are the limits of messages, subscriptions, connections and errors, and the space that a deployment needs."""
    kib = DEVICE_MESSAGE_MAX_BYTES // 1024
    assert f"| message to the server | {kib} KiB |" in TEXT
    assert f"| subscriptions of a NATS connection | {DEVICE_MAX_SUBSCRIPTIONS} |" in TEXT
    assert f"| connections of a credential | {MOST_CONNECTIONS} |" in TEXT
    assert f"the size of the bundle and {SPACE_MARGIN_BYTES // 1024} KiB more" in TEXT
    assert (BURST, PER_SECOND) == (5, 1)
    assert "gets five errors at once and then one a second" in TEXT


def test_the_node_types_in_examples_are_in_the_catalogue() -> None:
    """They are written as bundles require them."""
    named = {name for _, text in EXAMPLES for name in node_types(json.loads(text))}
    assert named
    assert named <= set(load_node_types().nodes)


def node_types(body: Any) -> set[str]:
    return {*body.get("node_types", ()), *body.get("hello", {}).get("node_types", ())}


@pytest.mark.parametrize("link_file", ["nats_link.py", "mqtt_link.py"])
def test_the_minimal_device_stays_minimal(link_file: str) -> None:
    """With either link it has fewer than 150 lines that are neither empty nor comments."""
    folder = Path(__file__).parents[2] / "docs" / "minimal-device"
    lines = [
        line.strip() for name in ("device.py", link_file) for line in (folder / name).read_text().splitlines()
    ]
    assert len([line for line in lines if line and not line.startswith("#")]) < 150
