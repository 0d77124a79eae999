"""Genesis maps as the store returns them. Pure."""

from dataclasses import dataclass

from k1_catalogue.maps.packing import Json
from k1_contracts.beats.grid import BeatGrid


@dataclass(frozen=True, slots=True)
class MapHead:
    """The metadata and the global metrics of a map."""

    metadata: dict[str, Json]
    global_metrics: dict[str, Json]


@dataclass(frozen=True, slots=True)
class MapBeats:
    """The beats of a map, and what belongs to them."""

    grid: BeatGrid
    duration_ms: float
    bpm: float
    time_signature: str


@dataclass(frozen=True, slots=True)
class StoredMap(MapHead):
    """A map whose curves are arrays and tables; `packing.expand` turns them into JSON values."""

    layers: dict[str, Json]
    others: dict[str, Json]
    """Members of the map that this release does not know."""

    def members(self) -> dict[str, Json]:
        """Return all members of the map, with the curves as arrays and tables."""
        return {
            "metadata": self.metadata,
            "global_metrics": self.global_metrics,
            "layers": self.layers,
            **self.others,
        }
