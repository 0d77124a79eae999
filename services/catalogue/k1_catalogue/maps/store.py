"""Stores Genesis maps in MongoDB, one document for each track version. The only module that imports motor.

A document has `metadata`, `global_metrics`, `layers.rhythm` and `layers.annotations` as plain values, so that they can
be searched, and the curves of the other layers as packed columns (see `packing`).
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, PyMongoError

from k1_catalogue.maps.comparison import MapFigures
from k1_catalogue.maps.models import MapBeats, MapHead, StoredMap
from k1_catalogue.maps.packing import Json, pack, unpack
from k1_contracts.beats.grid import BeatGrid, downbeat_indices
from k1_platform.errors import PermanentError, TransientError
from k1_platform.settings import MongoSettings

COLLECTION: Final = "genesis_maps"
_PLAIN_LAYERS: Final = frozenset({"rhythm", "annotations"})
_OWN_FIELDS: Final = frozenset({"metadata", "global_metrics", "layers"})


@dataclass(frozen=True, slots=True)
class MapStore:
    """The collection of maps. Its methods raise TransientError if the server does not respond."""

    client: AsyncIOMotorClient[dict[str, Any]]
    database: str

    @classmethod
    def connect(cls, settings: MongoSettings) -> Self:
        """Return a store on the server of the settings; the first operation opens the connection."""
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            settings.url.get_secret_value(),
            serverSelectionTimeoutMS=3000,
            connectTimeoutMS=3000,
            socketTimeoutMS=15000,
            # The server confirms a write only when a crash cannot lose it.
            journal=True,
            appname="k1-catalogue",
        )
        return cls(client, settings.database)

    @property
    def _maps(self) -> AsyncIOMotorCollection[dict[str, Any]]:
        return self.client[self.database][COLLECTION]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    async def check(self) -> None:
        """Raise TransientError unless the server responds; a readiness check."""
        try:
            await self.client.admin.command("ping")
        except PyMongoError as error:
            raise _transient(error) from error

    async def put(self, track_id: str, version: int, content: dict[str, Json]) -> None:
        """Store a map, given as parsed v4 JSON; storing the same map again changes nothing.

        Another map of the same version replaces the first. This happens only if a job runs again after its first
        completion was never recorded, so no reader has seen the first map.

        Raises:
            PermanentError: `genesis_unstorable`, MongoDB cannot store a value or the size of the map.
        """
        document = {
            "_id": _key(track_id, version),
            "track_id": track_id,
            "version": version,
            "metadata": content["metadata"],
            "global_metrics": content["global_metrics"],
            "layers": {
                name: layer if name in _PLAIN_LAYERS else pack(layer)
                for name, layer in content["layers"].items()
            },
            "others": {name: value for name, value in content.items() if name not in _OWN_FIELDS},
        }
        try:
            await self._insert(document)
        except (BSONError, OverflowError, DocumentTooLarge) as error:
            raise PermanentError("genesis_unstorable", f"the map cannot be stored: {error}") from error
        except PyMongoError as error:
            raise _transient(error) from error

    async def _insert(self, document: dict[str, Any]) -> None:
        try:
            await self._maps.insert_one(document)
        except DuplicateKeyError:
            key = {"_id": document["_id"]}
            existing = await self._maps.find_one(key, {"metadata": 1})
            if existing is None or existing["metadata"] != document["metadata"]:
                await self._maps.delete_one(key)
                await self._maps.insert_one(document)

    async def get(self, track_id: str, version: int) -> StoredMap | None:
        """Return a whole map; None if there is no such map."""
        found = await self._find(track_id, version, None)
        if found is None:
            return None
        layers = {
            name: layer if name in _PLAIN_LAYERS else unpack(layer) for name, layer in found["layers"].items()
        }
        return StoredMap(found["metadata"], found["global_metrics"], layers, found["others"])

    async def get_head(self, track_id: str, version: int) -> MapHead | None:
        """Return the metadata and global metrics of a map; None if there is no such map."""
        found = await self._find(track_id, version, {"metadata": 1, "global_metrics": 1})
        return MapHead(found["metadata"], found["global_metrics"]) if found else None

    async def get_figures(self, track_id: str, version: int) -> MapFigures | None:
        """Return the figures and the beats of a map; None if there is no such map."""
        # The embedded server has no projection of fields within fields.
        found = await self._find(track_id, version, {"global_metrics": 1, "layers": 1})
        if found is None:
            return None
        rhythm = found["layers"]["rhythm"]
        return MapFigures(found["global_metrics"], rhythm["beat_grid_ms"], rhythm["downbeat_ms"])

    async def delete(self, track_id: str) -> None:
        """Delete the maps of all versions of a track; maps that do not exist are no error."""
        try:
            # The key begins with the track, so the index of the keys finds the maps.
            await self._maps.delete_many({"_id": {"$regex": f"^{track_id}:"}})
        except PyMongoError as error:
            raise _transient(error) from error

    async def get_beats(self, track_id: str, version: int) -> MapBeats | None:
        """Return the beats of a map; None if there is no such map."""
        # Whole layers: nx-27017 does not project members of members.
        found = await self._find(track_id, version, {"global_metrics": 1, "layers": 1})
        if found is None:
            return None
        metrics, rhythm = found["global_metrics"], found["layers"]["rhythm"]
        beats = rhythm["beat_grid_ms"]
        return MapBeats(
            grid=BeatGrid(tuple(beats), downbeat_indices(beats, rhythm["downbeat_ms"])),
            duration_ms=metrics["duration_ms"],
            bpm=metrics["bpm"],
            time_signature=metrics["time_signature"],
        )

    async def _find(
        self, track_id: str, version: int, fields: dict[str, int] | None
    ) -> dict[str, Any] | None:
        try:
            return await self._maps.find_one({"_id": _key(track_id, version)}, fields)
        except PyMongoError as error:
            raise _transient(error) from error


def _key(track_id: str, version: int) -> str:
    return f"{track_id}:{version}"


def _transient(error: PyMongoError) -> TransientError:
    return TransientError(f"MongoDB: {error!r}")
