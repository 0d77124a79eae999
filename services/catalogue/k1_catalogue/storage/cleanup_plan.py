"""Chooses the objects that a cleanup removes. Pure.

An object is removed only if nothing refers to it and it is old enough:

* an upload or an analysis stores its objects before the catalogue knows of them, so young objects stay;
* an artefact that a newer one replaced stays for a while, because a device or a person may still read it;
* the manifest of an analysis, a simulation or an override of beats says that all files beside it exist. The same work reuses them and
  stores the manifest again, so a young manifest keeps the files beside it. The manifest goes before the files, and
  it stays as long as one of them stays.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from k1_contracts.messages.catalogue.storage import CleanupReason

_MANIFEST: Final = "/manifest.json"
FOLDERS: Final = ("audio/", "artefacts/", "graphs/", "overrides/", "runs/")
"""The folders of the bucket whose objects the catalogue knows. Whatever lies elsewhere is never removed."""


class ListedObject(Protocol):
    """An object as the store lists it."""

    @property
    def key(self) -> str:
        """Return its name in the store."""
        ...

    @property
    def size_bytes(self) -> int:
        """Return its size."""
        ...

    @property
    def stored_at(self) -> datetime:
        """Return when it was last written."""
        ...


@dataclass(frozen=True, slots=True)
class Removal:
    """An object to remove, and why."""

    listed: ListedObject
    reason: CleanupReason


@dataclass(frozen=True, slots=True)
class CleanupRules:
    """How old an object must be before it is removed."""

    safety_age: timedelta
    """Since it was stored."""
    keep_replaced: timedelta
    """Since its row was replaced."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Which keys are in use, and what is known of those that were."""

    in_use: Mapping[str, str]
    """Key -> the type of the artefact, or `audio` or `link`."""
    expired: Collection[str]
    """Keys of artefacts that were deleted and can no longer be restored."""
    retired: Mapping[str, datetime]
    """Keys of artefacts whose rows were replaced or removed, with the time."""


def plan_cleanup(
    objects: Iterable[ListedObject], usage: Usage, rules: CleanupRules, now: datetime
) -> list[Removal]:
    """Return the objects to remove, in the order in which to remove them."""
    objects = list(objects)
    young = now - rules.safety_age
    reused = {
        _folder(each.key) for each in objects if each.key.endswith(_MANIFEST) and each.stored_at > young
    }
    found = [
        Removal(each, reason)
        for each in objects
        if _folder(each.key) not in reused
        if (reason := removal_reason(each, usage, rules, now)) is not None
    ]
    removed = {removal.listed.key for removal in found}
    kept_files = {_folder(each.key) for each in objects if each.key not in removed}
    found = [each for each in found if not _is_manifest_in(kept_files, each.listed.key)]
    return sorted(found, key=lambda each: not each.listed.key.endswith(_MANIFEST))


def removal_reason(
    listed: ListedObject, usage: Usage, rules: CleanupRules, now: datetime
) -> CleanupReason | None:
    """Return why this object can go, whatever lies beside it; None if it stays."""
    if not listed.key.startswith(FOLDERS):
        return None
    if listed.key in usage.in_use or listed.stored_at > now - rules.safety_age:
        return None
    if listed.key in usage.expired:
        return "deleted"
    retired_at = usage.retired.get(listed.key)
    if retired_at is None:
        return "orphan"
    return "replaced" if retired_at <= now - rules.keep_replaced else None


def _is_manifest_in(folders: Collection[str], key: str) -> bool:
    return key.endswith(_MANIFEST) and _folder(key) in folders


def group_of(key: str) -> str:
    """Return the first two parts of a key: objects that are decided together are in one group."""
    return "/".join(key.split("/", 2)[:2])


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
