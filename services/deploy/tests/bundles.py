"""Bundle descriptions for tests, as the catalogue responds."""

from typing import Any

from k1_contracts.graph import BundleManifest, RuntimeEstimate
from k1_contracts.messages.deploy.bundles import BundleInfo, BundleRef
from services.deploy.tests.scripted_device import bundle


def bundle_info(number: int = 1, **changes: Any) -> BundleInfo:
    """Return a bundle that passes every gate on `hello()`; `changes` are of BundleInfo or its manifest."""
    ref = bundle(number)
    assert ref.track_id
    assert ref.version
    manifest = BundleManifest(
        firmware_min_version="2.0.0",
        required_nodes=["Led"],
        map_version="4.0",
        track_id=ref.track_id,
        track_version=ref.version,
        map_sha256="0" * 64,
        checksum_sha256="0" * 64,
        key_id="0" * 16,
        signature="00",
    )
    own = {name: changes.pop(name) for name in set(changes) & set(BundleManifest.model_fields)}
    size = changes.pop("size", 100_000)
    good = BundleInfo(
        bundle=BundleRef(sha256=ref.bundle_sha256, size=size, track_id=ref.track_id, version=ref.version),
        key=f"bundles/{ref.bundle_sha256}",
        manifest=manifest.model_copy(update=own),
        runtime_estimate=RuntimeEstimate(est_ms=4.0, cpu_pct=50.0, mem_kb=12.0, confidence=0.9),
        risk="green",
        photosensitivity_passed=True,
        f_measure=0.95,
        track_status="ready",
    )
    return good.model_copy(update=changes)
