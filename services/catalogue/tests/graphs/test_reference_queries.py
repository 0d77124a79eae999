"""Tests of the queries about node types and signing keys."""

import base64
import json
from pathlib import Path

from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_contracts.messages.catalogue.graphs import ListKeys, ListNodes
from k1_graph.bundle.container import key_id
from k1_graph.node_types.definitions import load_node_types
from k1_platform.auth.signing import KeyRing, add_key, ensure_key, load_keys


async def test_node_types_and_keys(keys: KeyRing) -> None:
    """The lists have every node type, and every valid key as a JWK."""
    reference = ReferenceQueries.of(keys.private)
    nodes = (await reference.list_node_types(ListNodes())).nodes
    assert [node.type for node in nodes] == list(load_node_types().nodes)
    [key] = (await reference.list_keys(ListKeys())).keys
    assert (key.kty, key.crv, key.kid) == ("OKP", "Ed25519", key_id(keys.public[0]))
    raw = base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    assert raw == keys.public[0].public_bytes_raw()


async def test_the_old_key_signs_the_list_with_the_new_key(tmp_path: Path) -> None:
    """The text of the key set is signed by every key in it."""
    ensure_key(tmp_path)
    old = load_keys(tmp_path).signing.public_key()
    add_key(tmp_path)
    key_set = await ReferenceQueries.of(load_keys(tmp_path).private).list_keys(ListKeys())
    assert key_set.document
    assert json.loads(key_set.document) == {"keys": [key.model_dump() for key in key_set.keys]}
    assert sorted(key_set.signatures) == sorted(key.kid for key in key_set.keys)
    old.verify(bytes.fromhex(key_set.signatures[key_id(old)]), key_set.document.encode())
