"""Artefacts: reading and checking what an analysis left in the object store, and showing it."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pydantic_core
from pydantic import ValidationError

from k1_catalogue.store import StoredArtefact
from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.analysis import AnalysisCompleted
from k1_contracts.messages.tracks import Artefact
from k1_contracts.tracks import ArtefactRef, ArtefactType
from k1_platform.errors import PermanentError
from k1_platform.objects import ObjectMissingError, ObjectStore
from k1_platform.threads import in_thread

INLINE_BYTES: Final = 64 * 1024
"""JSON shorter than this is part of the answer itself."""
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
    ("speedscope", "profile.speedscope.json"),
    ("beat_override", "graph.analysis.beat_override.json"),
    ("bundle", "bundle.k1b"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """The artefacts of a completed analysis, read and found right."""

    content: dict[str, Any]
    """The Genesis map as parsed JSON."""
    genesis: GenesisMap
    """The same, checked."""
    artefacts: tuple[StoredArtefact, ...]


async def read_result(objects: ObjectStore, fact: AnalysisCompleted) -> Result:
    """Fetch the map and the small JSON artefacts.

    Raises:
        PermanentError: an artefact is missing or not the one that was told of, or the map is none.
        TransientError: the object store did not answer.
    """
    genesis = next((ref for ref in fact.artefacts if ref.type == "genesis_map"), None)
    if genesis is None:
        raise PermanentError(
            "genesis_absent", "the completed analysis names no genesis_map among its artefacts"
        )
    stored = await asyncio.gather(*(_stored(objects, ref) for ref in fact.artefacts))
    content, checked = await in_thread(parse_map, await read_artefact(objects, genesis))
    return Result(content, checked, tuple(stored))


def parse_map(data: bytes) -> tuple[dict[str, Any], GenesisMap]:
    """The JSON value of a map and its checked model; raises PermanentError `genesis_invalid`."""
    try:
        return cast("dict[str, Any]", pydantic_core.from_json(data)), GenesisMap.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = f"the artefact is not a Genesis map v4: {where}: {first['msg']}"
        raise PermanentError("genesis_invalid", message) from error
    except ValueError as error:
        raise PermanentError("genesis_invalid", f"the artefact is not JSON: {error}") from error


async def _stored(objects: ObjectStore, ref: ArtefactRef) -> StoredArtefact:
    if ref.content_type != "application/json" or ref.size_bytes >= INLINE_BYTES:
        return StoredArtefact(ref, None)
    return StoredArtefact(ref, _object_text(await read_artefact(objects, ref)))


def kept(ref: ArtefactRef, data: bytes) -> StoredArtefact:
    """An artefact of known content, whose JSON is kept at hand when it is small."""
    small = ref.content_type == "application/json" and ref.size_bytes < INLINE_BYTES
    return StoredArtefact(ref, _object_text(data) if small else None)


def _object_text(data: bytes) -> str | None:
    """The text of a JSON object; None for any other JSON, which has no place in the answer."""
    try:
        parsed: object = json.loads(data)
    except ValueError:
        return None
    return json.dumps(parsed, separators=(",", ":")) if isinstance(parsed, dict) else None


async def read_artefact(objects: ObjectStore, ref: ArtefactRef) -> bytes:
    """The bytes of an artefact; raises PermanentError when they are missing or not the ones told of."""
    try:
        data = await objects.get_bytes(ref.key)
    except ObjectMissingError as error:
        raise PermanentError("artefact_missing", f"there is no object {ref.key}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != ref.sha256:
        message = f"the object {ref.key} has SHA-256 {found}, not {ref.sha256}"
        raise PermanentError("artefact_differs", message)
    return data


def with_missing(present: Sequence[Artefact]) -> list[Artefact]:
    """All artefacts in the order of EXPECTED, those that are absent as `missing`, unexpected ones last."""
    by_name = {artefact.name: artefact for artefact in present}
    expected = [
        by_name.pop(name, None) or Artefact(type=kind, name=name, status="missing") for kind, name in EXPECTED
    ]
    return [*expected, *by_name.values()]
