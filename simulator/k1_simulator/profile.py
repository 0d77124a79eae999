"""Describes the hardware and the capabilities of a simulated device."""

from dataclasses import dataclass, field
from typing import Final

from k1_graph.bundle.container import BUNDLE_MAX_BYTES
from k1_graph.node_types.definitions import load_node_types

MODEL: Final = "K1 (simulated)"


def _firmware() -> str:
    return load_node_types().firmware_min_version


def _node_types() -> tuple[str, ...]:
    return tuple(sorted(load_node_types().nodes))


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a device; the default runs everything that this version can build."""

    model: str = MODEL
    firmware: str = field(default_factory=_firmware)
    hardware: str = "esp32-s3"
    node_types: tuple[str, ...] = field(default_factory=_node_types)
    slot_bytes: int = BUNDLE_MAX_BYTES
    """The largest bundle that fits a slot. A transfer has its own area, so it needs no free slot."""
