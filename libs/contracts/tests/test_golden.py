"""Golden examples: messages written by earlier releases still load, for as long as they may lie in a stream.

An example is never edited. A new field is optional; a new example is added beside the old.
"""

import json
from pathlib import Path

import pytest

from k1_contracts.documents.registry import MESSAGES
from k1_contracts.genesis import GenesisMap

GOLDEN = Path(__file__).parent / "golden"
MODELS = {message.name: message.model for message in MESSAGES} | {
    message.response_model.__name__: message.response_model for message in MESSAGES if message.response_model
}
MODELS["GenesisMap"] = GenesisMap
EXAMPLES = sorted(GOLDEN.glob("*/*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_old_example_still_loads(path: Path) -> None:
    """It validates, and none of its values is lost or changed on the way through."""
    text = path.read_text("utf-8")
    model = MODELS[path.parent.name].model_validate_json(text)
    written = json.loads(model.model_dump_json(exclude_none=True))
    assert _missing(json.loads(text), written) == []


def test_every_message_has_an_example() -> None:
    """A message without an example could be broken unseen."""
    assert sorted({path.parent.name for path in EXAMPLES}) == sorted(MODELS)


def _missing(old: object, new: object, where: str = "$") -> list[str]:
    if isinstance(old, dict):
        assert isinstance(new, dict), where
        return [
            line
            for key, value in old.items()
            for line in (_missing(value, new[key], f"{where}.{key}") if key in new else [f"{where}.{key}"])
        ]
    if isinstance(old, list):
        assert isinstance(new, list), where
        assert len(old) == len(new), where
        return [line for a, b in zip(old, new, strict=True) for line in _missing(a, b, f"{where}[]")]
    return [] if old == new else [f"{where}: {old!r} became {new!r}"]
