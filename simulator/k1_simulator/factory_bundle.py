"""Generates the show that a device may have when it leaves the factory."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_contracts.ids import derived_id
from k1_graph.bundle.container import build_bundle
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map


def factory_bundle(seed: int) -> bytes:
    """Return a playable bundle that depends only on the seed. No device trusts its key, so it cannot be staged."""
    genesis = synthetic_map(20_000.0, seed=seed)
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"factory {seed}".encode()).digest())
    return build_bundle(
        genesis=genesis,
        graph=recommend(genesis, "edm").graph,
        track_id=derived_id("trk", "factory", str(seed)),
        track_version=1,
        key=key,
    ).data
