"""Answers that no database holds: the node types that graphs may use, and the keys that sign bundles."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from k1_contracts.graph_queries import KeySet, ListKeys, ListNodes, NodeCatalogue, PublicKey
from k1_graph.bundle.container import key_id
from k1_graph.catalogue import catalogue


@dataclass(frozen=True, slots=True)
class Reference:
    """What stays the same for as long as the process runs; `keys` are the valid ones, the newest first."""

    keys: Sequence[Ed25519PublicKey]

    async def list_nodes(self, _: ListNodes) -> NodeCatalogue:
        """The catalogue that the validator goes by."""
        return NodeCatalogue.model_validate(catalogue().to_json())

    async def list_keys(self, _: ListKeys) -> KeySet:
        """A JWK set."""
        return KeySet(keys=[_web_key(key) for key in self.keys])


def _web_key(key: Ed25519PublicKey) -> PublicKey:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    return PublicKey(kid=key_id(key), x=x)
