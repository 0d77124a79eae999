"""Answers the queries about node types and signing keys, which are the same while the process runs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from k1_contracts.messages.catalogue.graphs import KeySet, ListKeys, ListNodes, NodeCatalogue, PublicKey
from k1_graph.bundle.container import key_id
from k1_graph.node_types.definitions import load_node_types


@dataclass(frozen=True, slots=True)
class ReferenceQueries:
    """Answers from the node types of `k1_graph` and from the public keys."""

    keys: KeySet

    @classmethod
    def of(cls, keys: Sequence[Ed25519PrivateKey]) -> Self:
        """Return the queries for the valid keys, of which the newest comes first."""
        return cls(signed_key_set(keys))

    async def list_node_types(self, _: ListNodes) -> NodeCatalogue:
        """Return the node types that graphs may use; the validator has the same list."""
        return NodeCatalogue.model_validate(load_node_types().to_json())

    async def list_keys(self, _: ListKeys) -> KeySet:
        """Return the keys as a JWK set, signed by each of its keys."""
        return self.keys


def signed_key_set(keys: Sequence[Ed25519PrivateKey]) -> KeySet:
    """Return the public keys, signed by each key, so that a device that trusts one of them accepts the others."""
    public = [_web_key(key.public_key()) for key in keys]
    document = KeySet(keys=public).model_dump_json(include={"keys"})
    signatures = {web.kid: key.sign(document.encode()).hex() for web, key in zip(public, keys, strict=True)}
    return KeySet(keys=public, document=document, signatures=signatures)


def _web_key(key: Ed25519PublicKey) -> PublicKey:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    return PublicKey(kid=key_id(key), x=x)
