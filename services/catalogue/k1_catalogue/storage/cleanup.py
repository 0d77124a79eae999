"""Measures the store and removes from it what nothing refers to.

Both go through the store group by group, so that the memory does not grow with it. Before a group is touched it is
listed and looked up once more: what came into use meanwhile stays.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from k1_catalogue.storage.cleanup_plan import (
    FOLDERS,
    CleanupRules,
    ListedObject,
    Removal,
    Usage,
    group_of,
    plan_cleanup,
)
from k1_contracts.messages.catalogue.storage import RemovedObject, StorageCleanup

MAX_NAMED: Final = 1000
"""Removed objects that the result of a cleanup names."""


class Objects(Protocol):
    """The object store, or a fake of it."""

    def batches(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield the objects in the order of their keys."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object."""
        ...


class Tables(Protocol):
    """The tables of the catalogue, or a fake of them."""

    async def usage(self, keys: Sequence[str], now: datetime) -> Usage:
        """Return what is known of these keys."""
        ...

    async def remove_expired(self, now: datetime) -> Collection[str]:
        """Remove the rows of artefacts that can no longer be restored; return their keys."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget keys whose objects were removed."""
        ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is stored, by type of object."""

    objects: Counter[str] = field(default_factory=Counter[str])
    bytes: Counter[str] = field(default_factory=Counter[str])
    reclaimable: list[int] = field(default_factory=list[int])
    """The sizes of the objects that a cleanup would remove."""


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Measures and cleans one store."""

    objects: Objects
    tables: Tables
    rules: CleanupRules
    clock: Callable[[], datetime]

    async def measure(self) -> Measurement:
        """Return how much is stored and how much of it a cleanup would remove."""
        found = Measurement()
        async for group in self._groups():
            usage, removals = await self._plan(group, frozenset())
            removed = {each.listed.key for each in removals}
            for each in group:
                kind = _type_of(each.key, usage, removed)
                found.objects[kind] += 1
                found.bytes[kind] += each.size_bytes
            found.reclaimable.extend(each.listed.size_bytes for each in removals)
        return found

    async def clean(self, *, dry_run: bool) -> StorageCleanup:
        """Remove what nothing refers to; a dry run only says what that would be."""
        expired = frozenset[str]() if dry_run else frozenset(await self.tables.remove_expired(self.clock()))
        removed: list[Removal] = []
        kept = 0
        async for group in self._groups():
            _, removals = await self._plan(group, expired)
            if removals and not dry_run:
                planned = len(removals)
                removals = await self._remove(removals, expired)
                kept += planned - len(removals)
            removed += removals
        return _result(removed, kept, dry_run=dry_run)

    async def _remove(self, planned: Sequence[Removal], expired: Collection[str]) -> list[Removal]:
        """Remove the objects of a batch that still may go, and return them."""
        removed: list[Removal] = []
        keys = {each.listed.key for each in planned}
        for group in sorted({group_of(key) for key in keys}):
            now_there = [each async for batch in self.objects.batches(group) for each in batch]
            _, removals = await self._plan(
                [each for each in now_there if group_of(each.key) == group], expired
            )
            for removal in removals:
                if removal.listed.key in keys:
                    await self.objects.delete(removal.listed.key)
                    removed.append(removal)
        await self.tables.forget([each.listed.key for each in removed])
        return removed

    async def _plan(
        self, objects: Sequence[ListedObject], expired: Collection[str]
    ) -> tuple[Usage, list[Removal]]:
        now = self.clock()
        usage = await self.tables.usage([each.key for each in objects], now)
        usage = Usage(usage.in_use, {*usage.expired, *expired}, usage.retired)
        return usage, plan_cleanup(objects, usage, self.rules, now)

    async def _groups(self) -> AsyncIterator[list[ListedObject]]:
        """Yield batches of objects; no group is in two batches."""
        held: list[ListedObject] = []
        async for batch in self.objects.batches(""):
            held.extend(batch)
            last = group_of(held[-1].key) if held else ""
            if complete := [each for each in held if group_of(each.key) != last]:
                yield complete
                held = [each for each in held if group_of(each.key) == last]
        if held:
            yield held


def _type_of(key: str, usage: Usage, removed: Collection[str]) -> str:
    if not key.startswith(FOLDERS):
        return "other"
    if key in removed:
        return "unreferenced"
    if key in usage.in_use:
        return usage.in_use[key]
    return "manifest" if key.endswith("/manifest.json") else "kept"


def _result(removed: Sequence[Removal], kept: int, *, dry_run: bool) -> StorageCleanup:
    largest = sorted(removed, key=lambda each: (-each.listed.size_bytes, each.listed.key))
    return StorageCleanup(
        dry_run=dry_run,
        objects=len(removed),
        bytes=sum(each.listed.size_bytes for each in removed),
        removed=[
            RemovedObject(key=each.listed.key, size_bytes=each.listed.size_bytes, reason=each.reason)
            for each in largest[:MAX_NAMED]
        ],
        kept_in_use=kept,
    )
