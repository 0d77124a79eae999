"""Artefacts in the object store: reads them, checks their hashes, and lists those that a version should have."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from k1_catalogue.tracks.artefact_store import NewArtefact
from k1_contracts.messages.catalogue.tracks import Artefact
from k1_contracts.tracks import ArtefactRef, ArtefactType
from k1_platform.errors import PermanentError
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

URL_LIFETIME: Final = timedelta(hours=1)
MAX_INLINE_BYTES: Final = 64 * 1024
"""The table holds the content of JSON artefacts that are shorter than this, and responses include it."""
EXPECTED: Final[tuple[tuple[ArtefactType, str], ...]] = (
    ("genesis_map", "track.genesis.json"),
    ("metrics", "phase2b_metrics.json"),
    ("graph", "graph.json"),
    ("graph_metrics", "graph.metrics.json"),
    ("graph_estimate", "graph.estimate.json"),
    ("graph_validation", "graph.validation.json"),
    ("graph_impact", "graph.impact.json"),
    ("graph_analysis", "graph.analysis.json"),
    ("graph_executor_scale", "graph.executor.scale.json"),
    ("visual_report", "visual.report.json"),
    ("preview", "preview.png"),
    ("preview", "preview.bin"),
    ("waveform", "waveform.dat"),
    ("speedscope", "profile.speedscope.json"),
    ("beat_override", "graph.analysis.beat_override.json"),
    ("bundle", "bundle.k1b"),
)
"""The type and the name of each artefact that a version can have, in the order of responses."""


async def read_artefact(objects: ObjectStore, ref: ArtefactRef) -> bytes:
    """Return the bytes of an artefact.

    Raises:
        PermanentError: `artefact_missing`, or `artefact_differs` if the bytes have another hash.
        TransientError: the object store did not respond.
    """
    try:
        data = await objects.get_bytes(ref.key)
    except ObjectNotFoundError as error:
        raise PermanentError("artefact_missing", f"there is no object {ref.key}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != ref.sha256:
        message = f"the object {ref.key} has SHA-256 {found}, not {ref.sha256}"
        raise PermanentError("artefact_differs", message)
    return data


def is_inlined(ref: ArtefactRef) -> bool:
    """Return whether the table also holds the content of this artefact."""
    return ref.content_type == "application/json" and ref.size_bytes < MAX_INLINE_BYTES


def new_artefact(ref: ArtefactRef, data: bytes) -> NewArtefact:
    """Return the entry of an artefact whose bytes are known."""
    return NewArtefact(ref, _object_text(data) if is_inlined(ref) else None)


def _object_text(data: bytes) -> str | None:
    """Return the text of a JSON object; None for any other data, which responses cannot include."""
    try:
        parsed: object = json.loads(data)
    except ValueError:
        return None
    return json.dumps(parsed, separators=(",", ":")) if isinstance(parsed, dict) else None


def with_missing(present: Sequence[Artefact]) -> list[Artefact]:
    """Return all artefacts in the order of EXPECTED: absent ones as `missing`, unexpected ones last."""
    by_name = {artefact.name: artefact for artefact in present}
    expected = [
        by_name.pop(name, None) or Artefact(type=kind, name=name, status="missing") for kind, name in EXPECTED
    ]
    return [*expected, *by_name.values()]
