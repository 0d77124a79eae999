"""Chooses the objects that a cleanup removes. Pure.

An object is removed only if nothing refers to it and it is old enough:

* an upload or an analysis stores its objects before the catalogue knows of them, so young objects stay;
* an artefact that a newer one replaced stays for a while, because a device or a person may still read it;
* the manifest of an analysis says that all files beside it exist. An analysis of the same audio reuses them, so the
  manifest goes first, and it stays as long as one file beside it is in use.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_contracts.messages.storage import CleanupReason

_MANIFEST: Final = "/manifest.json"
FOLDERS: Final = ("audio/", "copies/", "artefacts/", "graphs/")
"""The folders of the bucket whose objects the catalogue knows. Whatever lies elsewhere is never removed."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as the store lists it."""

    key: str
    size_bytes: int
    stored_at: datetime


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

    in_use: Collection[str]
    expired: Collection[str]
    """Keys of artefacts that were deleted and can no longer be restored."""
    retired: Mapping[str, datetime]
    """Keys of artefacts whose rows were replaced or removed, with the time."""


def plan_cleanup(
    objects: Iterable[ListedObject], usage: Usage, rules: CleanupRules, now: datetime
) -> list[Removal]:
    """Return the objects to remove, in the order in which to remove them."""
    objects = list(objects)
    live_folders = {_folder(key) for key in usage.in_use}
    found = [
        Removal(each, reason)
        for each in objects
        if not _is_kept_manifest(each.key, live_folders)
        if (reason := removal_reason(each, usage, rules, now)) is not None
    ]
    # A folder with a young or kept file is in use by whoever made or reused it, so its manifest stays too.
    removed = {removal.listed.key for removal in found}
    partly_kept = {_folder(each.key) for each in objects if each.key not in removed}
    found = [each for each in found if not _is_kept_manifest(each.listed.key, partly_kept)]
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


def _is_kept_manifest(key: str, live_folders: Collection[str]) -> bool:
    return key.endswith(_MANIFEST) and _folder(key) in live_folders


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
