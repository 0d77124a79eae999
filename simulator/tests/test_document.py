"""docs/device-link.md says what the contracts and the simulator do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from k1_contracts import devices
from k1_contracts.base import Contract
from k1_simulator import faults, fetching, link, memory
from k1_simulator.fault_file import parse_faults

TEXT = (Path(__file__).parents[2] / "docs" / "device-link.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json (\w+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=[model for model, _ in EXAMPLES])
def test_examples_are_valid(model: str, example: str) -> None:
    """Each fits its model, field by field, with nothing that the model does not know."""
    contract: type[Contract] = getattr(devices, model)
    body = json.loads(example)
    assert_within(body, json.loads(contract.model_validate(body).to_json()))


def assert_within(given: Any, read: Any) -> None:
    """All that was given was read; defaults may have been added."""
    if isinstance(given, dict):
        for key, value in given.items():
            assert_within(value, read[key])
    else:
        assert given == read


def test_every_verb_code_and_message_is_there() -> None:
    """A section with an example a verb; every code of an answer; every field of a reading."""
    assert {model for model, _ in EXAMPLES} >= {model.__name__ for model in devices.COMMANDS.values()}
    for verb in devices.COMMANDS:
        assert f"### {verb}\n" in TEXT
    for code in devices.ReplyCode.__args__:  # type: ignore[attr-defined]
        assert f"`{code}`" in TEXT, code
    for field in devices.TelemetrySample.model_fields:
        assert f"`{field}`" in TEXT, field


def test_every_fault_is_there_with_its_fields() -> None:
    """A row a fault."""
    common = {"fault", *faults.Fault.model_fields, *faults.Ailment.model_fields}
    for fault in (
        kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, faults.Fault)
    ):
        name = fault.model_fields.get("fault")
        if name is None:
            continue
        (word,) = name.annotation.__args__  # type: ignore[union-attr]
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{word}` |"))
        for field in set(fault.model_fields) - common:
            assert f"`{field}`" in row, (word, field)


def test_the_example_of_a_fault_file_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(parse_faults(example).faults) == 3


def test_the_numbers_are_those_of_the_code() -> None:
    """Answers kept, tries, patience."""
    assert f"at least the last {memory.ANSWERS_KEPT} commands" in TEXT
    assert fetching.TRIES == 4
    assert "after four in a row" in TEXT
    assert f"wait up to {link.CHUNK_TIMEOUT_S:.0f} s" in TEXT
    assert all(f"{status}" in TEXT for status in (*sorted(fetching.GONE),))
