"""The show that a device may leave the factory with."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_contracts.ids import derived_id
from k1_graph.bundle.container import build_bundle
from k1_graph.recommend import recommend
from k1_graph.testing import synthetic_map


def factory_bundle(seed: int) -> bytes:
    """A playable bundle; the same seed gives the same. Nobody trusts its key, and nothing is staged from it."""
    genesis = synthetic_map(20_000.0, seed=seed)
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"factory {seed}".encode()).digest())
    return build_bundle(
        genesis=genesis,
        graph=recommend(genesis, "edm").graph,
        track_id=derived_id("trk", "factory", str(seed)),
        track_version=1,
        key=key,
    ).data
