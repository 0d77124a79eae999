"""The JSON of Genesis maps: validates it, and renders a stored map or a slice of it. Pure."""

import hashlib
from typing import Any, cast

import pydantic_core
from pydantic import ValidationError

from k1_catalogue.maps.models import StoredMap
from k1_catalogue.maps.packing import Json, expand
from k1_catalogue.maps.slicing import Slice, cut_layers
from k1_contracts.genesis import GenesisMap
from k1_platform.errors import PermanentError


def parse_map(data: bytes) -> tuple[dict[str, Any], GenesisMap]:
    """Return a map as JSON value and as validated model; raise PermanentError `genesis_invalid`."""
    try:
        return cast("dict[str, Any]", pydantic_core.from_json(data)), GenesisMap.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = f"the artefact is not a Genesis map v4: {where}: {first['msg']}"
        raise PermanentError("genesis_invalid", message) from error
    except ValueError as error:
        raise PermanentError("genesis_invalid", f"the artefact is not JSON: {error}") from error


def map_etag(map_sha256: str, requested: Slice) -> str:
    """Return the entity tag of a map or of a slice of it: the same for the same map and slice.

    The tag depends on the `repr` of `Slice`, so renaming that class or its fields changes the tags of slices.
    """
    if requested.is_whole():
        return map_sha256
    return hashlib.sha256(f"{map_sha256} {requested!r}".encode()).hexdigest()


def render_map(stored: StoredMap, requested: Slice) -> bytes:
    """Return the JSON of a map or of a slice; a slice describes itself in `metadata.slice`."""
    members: dict[str, Json] = stored.members()
    if not requested.is_whole():
        members["metadata"] = stored.metadata | {"slice": requested.describe()}
        members["layers"] = cut_layers(stored.layers, requested)
    return pydantic_core.to_json(expand(members))
