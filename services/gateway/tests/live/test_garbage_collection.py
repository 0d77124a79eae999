"""Full garbage collections of the gateway: rare, but never left out."""

import asyncio
import gc
import weakref

import pytest

from k1_gateway.live import garbage_collection
from k1_gateway.live.garbage_collection import CollectionRule, collect_garbage
from tests.support.waiting import eventually

MIB = 1024 * 1024


class Cycle:
    """Garbage that only a collection frees."""

    def __init__(self) -> None:
        self.me = self


def old_garbage() -> weakref.ref[Cycle]:
    """Return a reference to garbage that the collections of young objects no longer look at."""
    cycle = Cycle()
    gc.collect()
    return weakref.ref(cycle)


def test_new_clients_explain_growth_and_garbage_does_not() -> None:
    """Ten thousand connections start no collection; the same growth without them does."""
    rule = CollectionRule(100 * MIB, clients=10)
    assert not rule.is_due(480 * MIB, clients=10_010)
    assert rule.is_due(480 * MIB, clients=10)
    assert not rule.is_due(164 * MIB, clients=0)
    assert rule.is_due(164 * MIB + 1, clients=0)


async def test_python_starts_no_full_collection_and_growth_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old garbage stays while memory does not grow, and goes when it has; the settings come back at the end."""
    before = gc.get_threshold()
    resident = 100 * MIB
    monkeypatch.setattr(garbage_collection, "_CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(garbage_collection, "resident_bytes", lambda: resident)
    collecting = asyncio.create_task(collect_garbage(lambda: 0))
    try:
        await eventually(lambda: gc.get_threshold()[2] > 1_000_000, "Python's own full collections are off")
        garbage = old_garbage()
        keep = [[number] for number in range(200_000)]
        assert garbage() is not None
        del keep
        resident = 200 * MIB
        await eventually(lambda: garbage() is None, "the garbage is collected")
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    assert gc.get_threshold() == before


def test_the_memory_of_this_process_is_read() -> None:
    """What is read grows with the memory in use."""
    before = garbage_collection.resident_bytes()
    block = bytearray(b"x" * (64 * MIB))
    assert garbage_collection.resident_bytes() >= before + 32 * MIB
    del block
