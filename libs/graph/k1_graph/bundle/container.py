"""Builds and reads the bundle container: parts, manifest, signature.

    {"manifest": bytes, "map": bytes, "graph": bytes, "assets": bytes, "signature": 64 bytes}

Each part is CBOR inside a byte string, so that a device checks exact bytes before it parses any of them: the
signature covers the manifest's bytes, the manifest's checksum the three parts.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import BundleManifest, GraphDocument
from k1_graph.bundle.device_map import decode_map, encode_map, to_cbor
from k1_graph.errors import BundleError, UnknownKeyError
from k1_graph.node_types.definitions import load_node_types
from k1_graph.validation.validator import compile_graph

BUNDLE_MAX_BYTES = 4 * 1024 * 1024
_PARTS = ("map", "graph", "assets")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished bundle; its address is `sha256`, the hash of the whole file."""

    data: bytes
    sha256: str
    manifest: BundleManifest


@dataclass(frozen=True, slots=True)
class BundleContents:
    """The decoded contents of a verified bundle."""

    manifest: BundleManifest
    genesis: GenesisMap
    graph: GraphDocument
    assets: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class BundleHead:
    """The small parts of a bundle: manifest and graph."""

    manifest: BundleManifest
    graph: GraphDocument


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a public key in manifests: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def build_bundle(
    *,
    genesis: GenesisMap,
    graph: GraphDocument,
    track_id: str,
    track_version: int,
    key: Ed25519PrivateKey,
    assets: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Build and sign a bundle. The same content and key give the same bytes; the graph's meta is omitted.

    Raises GraphInvalidError for a graph with errors and BundleError for a bundle of more than 4 MiB.
    """
    nodes = compile_graph(graph).nodes.values()
    parts = {
        "map": encode_map(genesis),
        "graph": to_cbor(_without_meta(graph)),
        "assets": to_cbor(dict(assets or {})),
    }
    manifest = BundleManifest(
        firmware_min_version=load_node_types().firmware_min_version,
        required_nodes=sorted({node.spec.type for node in nodes}),
        map_version=genesis.metadata.version,
        track_id=track_id,
        track_version=track_version,
        map_sha256=genesis.metadata.hashes.map_sha256,
        checksum_sha256=_checksum(parts),
        key_id=key_id(key.public_key()),
        signature="",
    )
    head = to_cbor(manifest.model_dump(mode="json", exclude={"signature"}))
    signature = key.sign(head)
    data = to_cbor({"manifest": head, **parts, "signature": signature})
    if len(data) > BUNDLE_MAX_BYTES:
        raise BundleError(f"The bundle would be {len(data)} bytes, at most {BUNDLE_MAX_BYTES}")
    signed = manifest.model_copy(update={"signature": signature.hex()})
    return Bundle(data, hashlib.sha256(data).hexdigest(), signed)


def read_bundle(data: bytes, keys: Mapping[str, Ed25519PublicKey]) -> BundleContents:
    """Verify signature and checksum, then decode. `keys` has the trusted keys by key_id.

    Raises BundleError with the problem. Of an untrusted bundle only the manifest is parsed.
    """
    body = _open(data)
    manifest = _verified_manifest(body, keys)
    if _checksum(body) != manifest.checksum_sha256:
        raise BundleError("The bundle's content does not match its checksum; fetch it again")
    graph = _graph(body)
    try:
        assets = cast("dict[str, bytes]", cbor2.loads(body["assets"]))
    except cbor2.CBORDecodeError as error:
        raise BundleError(f"The assets of the bundle cannot be read: {error}") from error
    return BundleContents(manifest, decode_map(body["map"]), graph, assets)


def read_head(data: bytes) -> BundleHead:
    """Read manifest and graph without verifying them, for a caller that made the bundle or checked its SHA-256.

    Raises BundleError when the data is not a bundle.
    """
    body = _open(data)
    return BundleHead(_manifest(body), _graph(body))


def _without_meta(graph: GraphDocument) -> dict[str, Any]:
    body: dict[str, Any] = graph.model_dump(mode="json", exclude_none=True, exclude={"meta"})
    for node in body["nodes"]:
        node.pop("meta", None)
    return body


def _checksum(parts: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"".join(parts[name] for name in _PARTS)).hexdigest()


def _open(data: bytes) -> dict[str, bytes]:
    if len(data) > BUNDLE_MAX_BYTES:
        raise BundleError(f"A bundle has at most {BUNDLE_MAX_BYTES} bytes, this file has {len(data)}")
    try:
        body: object = cbor2.loads(data)
    except Exception as error:
        raise BundleError(f"This is no bundle: {error}") from error
    names = {"manifest", *_PARTS, "signature"}
    if not isinstance(body, dict) or set(cast("dict[object, object]", body)) != names:
        raise BundleError(f"This is no bundle: a CBOR map of {', '.join(sorted(names))} was expected")
    parts = cast("dict[str, object]", body)
    if not all(isinstance(part, bytes) for part in parts.values()):
        raise BundleError("This is no bundle: every part must be a byte string")
    return cast("dict[str, bytes]", parts)


def _manifest(body: Mapping[str, bytes]) -> BundleManifest:
    try:
        head = cast("dict[str, Any]", cbor2.loads(body["manifest"]))
        return BundleManifest.model_validate({**head, "signature": body["signature"].hex()})
    except Exception as error:
        raise BundleError(f"The bundle's manifest cannot be read: {error}") from error


def _graph(body: Mapping[str, bytes]) -> GraphDocument:
    try:
        return GraphDocument.model_validate(cbor2.loads(body["graph"]))
    except (cbor2.CBORDecodeError, ValidationError) as error:
        raise BundleError(f"The graph of the bundle cannot be read: {error}") from error


def _verified_manifest(body: Mapping[str, bytes], keys: Mapping[str, Ed25519PublicKey]) -> BundleManifest:
    manifest = _manifest(body)
    key = keys.get(manifest.key_id)
    if key is None:
        raise UnknownKeyError(
            f"The bundle is signed with the key {manifest.key_id}, which is not trusted here"
        )
    try:
        key.verify(body["signature"], body["manifest"])
    except InvalidSignature as error:
        raise BundleError("The bundle's signature is wrong: its manifest was changed") from error
    return manifest
