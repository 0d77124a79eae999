"""Checks after each stage that all its numbers are finite.

A NaN or an infinity would otherwise fail much later, as JSON that cannot be written. The error names the stage and
the field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")


class NotFiniteError(ArithmeticError):
    """A stage's result holds NaN or infinity: a fault of the engine, not of the song."""

    def __init__(self, stage: str, field: str) -> None:
        super().__init__(f"the stage {stage!r} gave a number that is not finite: {field}")
        self.stage, self.field = stage, field

    def __reduce__(self) -> tuple[type["NotFiniteError"], tuple[str, str]]:
        """Pickle both arguments, because the error is sent between processes."""
        return type(self), (self.stage, self.field)


def require_finite(stage: str, result: Result) -> Result:
    """Return `result` if every number in it is finite.

    Args:
        stage: the name to put into the error.
        result: numbers, arrays, and dataclasses, mappings and sequences of these; anything else is ignored.

    Raises:
        NotFiniteError: a number is not finite; the error names its field.
    """
    for field, numbers in _numbers(result, "result"):
        # Minimum and maximum of an array with NaN are NaN, and need no memory of the array's size.
        if numbers.size and not np.isfinite([numbers.min(), numbers.max()]).all():
            raise NotFiniteError(stage, field)
    return result


def _numbers(value: object, name: str) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    """Yield the field's name and its floating-point numbers, field by field."""
    if isinstance(value, float):
        yield name, np.array([value])
    elif isinstance(value, np.ndarray):
        array = cast("NDArray[Any]", value)
        if np.issubdtype(array.dtype, np.floating):
            yield name, array
    elif is_dataclass(value):
        for field in fields(value):
            yield from _numbers(getattr(value, field.name), field.name)
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[object, object]", value).items():
            yield from _numbers(each, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            yield from _numbers(each, name)
