"""The stored examples of messages."""

from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "libs" / "contracts" / "tests" / "golden"


def golden(model: Any) -> Any:
    """Return the first version of the example of a model."""
    return model.model_validate_json((GOLDEN / model.__name__ / "v1.json").read_text())
