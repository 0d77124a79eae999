"""Measures the CPU time of the tasks of worker processes, and of the network in them."""

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
    inference_s: float
    """The part of `cpu_s` that the network used."""


def measure_cpu(run: Callable[[], T], inference_s: Callable[[], float]) -> TaskResult[T]:
    """Run a task in this process; threads of other tasks would count too, but a worker runs one at a time.

    `inference_s` returns the CPU seconds of all calls of the network in this process so far.
    """
    before, inference_before = _cpu_seconds(), inference_s()
    value = run()
    return TaskResult(
        value,
        cpu_s=round(max(0.0, _cpu_seconds() - before), 3),
        inference_s=round(inference_s() - inference_before, 3),
    )


def _cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
