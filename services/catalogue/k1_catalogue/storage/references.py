"""Says which objects of the store are in use and by whom. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from k1_contracts.messages.bundles import bundle_key
from k1_contracts.messages.media import opus_key

ReferenceKind = Literal["audio", "copy", "artefact", "deployment", "link"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of an object; `track_id` is the track on whose account it is kept."""

    key: str
    track_id: str
    kind: ReferenceKind


def audio_references(track_id: str, key: str, sha256: str) -> tuple[Reference, ...]:
    """Return the uses of a track's audio: the uploaded file and its small copy, whether or not that was made."""
    return Reference(key, track_id, "audio"), Reference(opus_key(sha256), track_id, "copy")


def deployment_reference(track_id: str, bundle_sha256: str) -> Reference:
    """Return the use of a bundle by a deployment: devices may run it, or return to it."""
    return Reference(bundle_key(bundle_sha256), track_id, "deployment")


def referenced_keys(references: Iterable[Reference], *, only_by: str | None = None) -> frozenset[str]:
    """Return the keys that the references use; with `only_by`, those that this track uses and no other track."""
    references = list(references)
    if only_by is None:
        return frozenset(each.key for each in references)
    others = {each.key for each in references if each.track_id != only_by}
    return frozenset(each.key for each in references if each.track_id == only_by) - others
