"""Measures the CPU time of the tasks of worker processes."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[T]):
    """The result of a task, and the CPU seconds of its process and of the children that ended."""

    value: T
    cpu_s: float


def measure_cpu(run: Callable[[], T]) -> TaskResult[T]:
    """Run a task in this process; threads of other tasks would count too, but a worker runs one at a time."""
    before = _cpu_seconds()
    value = run()
    return TaskResult(value, round(max(0.0, _cpu_seconds() - before), 3))


def _cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
