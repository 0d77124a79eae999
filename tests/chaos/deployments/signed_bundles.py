"""Makes signed bundles of short shows, with the information that the catalogue has about them."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_contracts.graph import RuntimeEstimate
from k1_contracts.ids import derived_id
from k1_contracts.messages.deploy.bundles import BundleInfo, BundleRef, bundle_key
from k1_graph.bundle.container import Bundle, build_bundle
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map

SONG_MS = 150_000.0
"""Gives a bundle of about 40 kB."""


@dataclass
class SignedBundle:
    """A bundle, and the catalogue's information about it."""

    bundle: Bundle
    info: BundleInfo

    @property
    def sha256(self) -> str:
        return self.info.bundle.sha256


def make_signed_bundle(name: str, key: Ed25519PrivateKey) -> SignedBundle:
    """Return the bundle of a synthetic song; each name gives another song."""
    genesis = synthetic_map(SONG_MS, seed=sum(name.encode()))
    track_id = derived_id("trk", "chaos", name)
    bundle = build_bundle(
        genesis=genesis,
        graph=recommend(genesis, "edm").graph,
        track_id=track_id,
        track_version=1,
        key=key,
    )
    info = BundleInfo(
        bundle=BundleRef(sha256=bundle.sha256, size=len(bundle.data), track_id=track_id, version=1),
        key=bundle_key(bundle.sha256),
        manifest=bundle.manifest,
        runtime_estimate=RuntimeEstimate(est_ms=4.0, cpu_pct=50.0, mem_kb=12.0, confidence=0.9),
        risk="green",
        photosensitivity_passed=True,
        f_measure=0.95,
        track_status="ready",
    )
    return SignedBundle(bundle, info)
