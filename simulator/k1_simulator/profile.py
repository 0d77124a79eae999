"""What a simulated device is."""

from dataclasses import dataclass, field
from typing import Final

from k1_graph.bundle.container import BUNDLE_MAX_BYTES
from k1_graph.catalogue import catalogue

MODEL: Final = "K1 (simulated)"


def _firmware() -> str:
    return catalogue().firmware_min_version


def _node_types() -> tuple[str, ...]:
    return tuple(sorted(catalogue().nodes))


@dataclass(frozen=True, slots=True)
class Profile:
    """Of a device; by default one that runs everything which this version can build."""

    model: str = MODEL
    firmware: str = field(default_factory=_firmware)
    hardware: str = "esp32-s3"
    node_types: tuple[str, ...] = field(default_factory=_node_types)
    slot_bytes: int = BUNDLE_MAX_BYTES
    """The largest bundle that a slot takes. A transfer has an area of its own, so one more always fits."""
