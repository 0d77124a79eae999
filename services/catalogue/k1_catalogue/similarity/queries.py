"""Answers which songs sound most like a song, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from k1_catalogue import errors
from k1_catalogue.maps.map_json import render_map
from k1_catalogue.maps.slicing import Slice
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity import store
from k1_catalogue.similarity.exact_index import ExactIndex
from k1_catalogue.similarity.features import Vector, feature_vector, group_distances
from k1_catalogue.similarity.store import Neighbour
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.version_checks import require_map, require_version
from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.catalogue.similar import (
    FeatureGroup,
    FindSimilar,
    GroupDistance,
    SimilarTrack,
    SimilarTracks,
)
from k1_contracts.messages.catalogue.tracks import TrackSummary
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread

_ALIKE: Final[dict[FeatureGroup, float]] = {
    "tempo": 0.3,
    "rhythm": 0.7,
    "harmony": 0.7,
    "timbre": 1.3,
    "dynamics": 0.65,
}
"""The distance in each group that a tenth of the pairs of songs of the corpus keeps: these are called alike in it."""


@dataclass(frozen=True)
class SimilarQueries:
    """Finds similar tracks by the index of the database, or by comparing all vectors."""

    pool: Pool
    maps: MapStore
    exact: ExactIndex = field(default_factory=ExactIndex)

    async def find_similar(self, query: FindSimilar) -> SimilarTracks:
        """Return the nearest tracks of the version in use. A vector that is not stored yet is computed from the map."""
        async with self.pool.acquire() as connection:
            vector = await self._vector_of(connection, query.track_id)
            indexed = await store.has_vector_index(connection)
            nearest = store.nearest_by_index if indexed else self.exact.nearest
            found = await nearest(connection, vector, query.track_id, query.limit)
            searched = await store.count_features(connection)
        items = sorted((_similar_track(vector, each) for each in found), key=lambda item: item.distance)
        return SimilarTracks(items=items, method="hnsw" if indexed else "exact", searched=searched)

    async def _vector_of(self, connection: Connection, track_id: str) -> Vector:
        track = await track_store.find_track(connection, track_id)
        if track is None:
            raise errors.track_not_found(track_id)
        version = track.current_version or 1
        fields = await require_version(connection, track_id, version)
        require_map(fields, track_id)
        stored = await store.find_features(connection, track_id, version)
        if stored is not None:
            return stored
        vector = await vector_from_map(self.maps, track_id, version)
        if vector is None:
            raise errors.genesis_missing(track_id, version)
        await store.save_features(connection, track_id, version, vector)
        return vector


async def vector_from_map(maps: MapStore, track_id: str, version: int) -> Vector | None:
    """Return the vector of a stored map; None if there is no map."""
    stored = await maps.get(track_id, version)
    if stored is None:
        return None
    return await in_thread(
        lambda: feature_vector(GenesisMap.model_validate_json(render_map(stored, Slice())))
    )


def _similar_track(vector: Vector, neighbour: Neighbour) -> SimilarTrack:
    distances = group_distances(vector, neighbour.vector)
    nearest_first = sorted(distances.items(), key=lambda item: item[1] / _ALIKE[item[0]])
    return SimilarTrack(
        track=TrackSummary.model_validate(neighbour.track),
        distance=round(sum(each**2 for each in distances.values()) ** 0.5, 4),
        groups=[GroupDistance(group=group, distance=round(each, 4)) for group, each in nearest_first],
        why=explain(distances),
    )


def explain(distances: Mapping[FeatureGroup, float]) -> str:
    """Return a sentence that names the groups in which two songs are alike, nearest first, and the most different."""
    ordered = sorted(distances, key=lambda group: distances[group] / _ALIKE[group])
    alike = [group for group in ordered if distances[group] <= _ALIKE[group]] or ordered[:1]
    sentence = f"Nearest in {_listed(alike)}"
    return f"{sentence}; furthest in {ordered[-1]}." if ordered[-1] not in alike else f"{sentence}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
