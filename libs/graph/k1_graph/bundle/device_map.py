"""Converts a Genesis map to its device form, and back.

`live` has what a device reads while it plays, uncompressed: beats, downbeats, envelopes, sections, drops. `archive` has
the rest of the map, deflated: columns that only a player or an editor needs, and all other fields of the JSON unchanged,
also unknown ones (except inside points and sections, which become tables).
"""

import zlib
from typing import Any, cast

import cbor2

from k1_contracts.genesis import GenesisMap
from k1_graph.bundle.tables import (
    pack_chroma,
    pack_envelope,
    pack_points,
    pack_rhythm,
    pack_sections,
    unpack_chroma,
    unpack_envelope,
    unpack_points,
    unpack_rhythm,
    unpack_sections,
)
from k1_graph.errors import BundleError

Json = dict[str, Any]

_ARCHIVE_MAX_BYTES = 16 * 1024 * 1024
_ENVELOPES = (("frequency", "bass"), ("frequency", "mids"), ("frequency", "highs"), ("dynamics", "rms"))
_ARCHIVED = (
    ("rhythm", "tempo_curve", "bpm"),
    ("dynamics", "loudness_lufs", "lufs"),
    ("dynamics", "peaks", "intensity"),
    ("spectral", "centroid", "value"),
    ("spectral", "flux", "value"),
    ("spectral", "flatness", "value"),
    ("spectral", "rolloff", "value"),
)


def encode_map(genesis: GenesisMap) -> bytes:
    """Encode a map as CBOR of {live, archive}. The same map gives the same bytes."""
    rest: Json = genesis.model_dump(mode="json", exclude_none=True)
    # In silence loudness and peak are null; they are required fields, so they must stay in the map.
    rest["global_metrics"] = genesis.global_metrics.model_dump(mode="json")
    layers: Json = rest["layers"]
    live = {
        "duration_ms": genesis.global_metrics.duration_ms,
        "bpm": genesis.global_metrics.bpm,
        **pack_rhythm(layers["rhythm"]),
        **pack_sections(layers["annotations"]),
        "env": {name: pack_envelope(layers[layer].pop(name)) for layer, name in _ENVELOPES},
    }
    archive = {
        "columns": {name: pack_points(layers[layer].pop(name), key) for layer, name, key in _ARCHIVED},
        "chroma": pack_chroma(layers["spectral"].pop("chroma")),
        "rest": rest,
    }
    return to_cbor({"live": live, "archive": zlib.compress(to_cbor(archive), 9)})


def decode_map(data: bytes) -> GenesisMap:
    """Decode a map; every number is within one quantisation step. Raises BundleError for invalid data."""
    try:
        return _decode(cast("Json", cbor2.loads(data)))
    except (cbor2.CBORDecodeError, LookupError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise BundleError(f"The map of the bundle cannot be read: {error}") from error


def to_cbor(value: object) -> bytes:
    """Encode a value as deterministic CBOR (RFC 8949, section 4.2)."""
    return cbor2.dumps(value, canonical=True)


def _decode(body: Json) -> GenesisMap:
    archive = _inflate(body["archive"])
    live, rest = body["live"], archive["rest"]
    layers = rest["layers"]
    unpack_rhythm(live, layers["rhythm"])
    unpack_sections(live, layers["annotations"])
    for layer, name in _ENVELOPES:
        layers[layer][name] = unpack_envelope(live["env"][name])
    for layer, name, key in _ARCHIVED:
        layers[layer][name] = unpack_points(archive["columns"][name], key)
    layers["spectral"]["chroma"] = unpack_chroma(archive["chroma"])
    return GenesisMap.model_validate(rest)


def _inflate(data: bytes) -> Json:
    inflater = zlib.decompressobj()
    body = inflater.decompress(data, _ARCHIVE_MAX_BYTES)
    if not inflater.eof:
        raise BundleError(f"The map's archive is cut off or larger than {_ARCHIVE_MAX_BYTES} bytes")
    return cast("Json", cbor2.loads(body))
