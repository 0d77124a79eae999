"""Genesis maps in MongoDB: immutable, written whole. The only module that knows motor.

A document a track version: `metadata`, `global_metrics`, `layers.rhythm` and `layers.annotations`
plain, so that they can be searched; the curves of the other layers as packed columns (`packing`).
"""

from dataclasses import dataclass
from typing import Any, Final

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, PyMongoError

from k1_catalogue.packing import Json, pack, unpack
from k1_platform.errors import PermanentError, TransientError
from k1_platform.settings import MongoSettings

COLLECTION: Final = "genesis_maps"
_PLAIN_LAYERS: Final = frozenset({"rhythm", "annotations"})
_OWN_FIELDS: Final = frozenset({"metadata", "global_metrics", "layers"})


@dataclass(frozen=True, slots=True)
class MapHead:
    """The searchable beginning of a map."""

    metadata: dict[str, Json]
    global_metrics: dict[str, Json]


@dataclass(frozen=True, slots=True)
class StoredMap(MapHead):
    """A map whose curves are still arrays and tables; `packing.expand` makes JSON of them."""

    layers: dict[str, Json]
    others: dict[str, Json]
    """Members of the map that this release does not know."""

    def whole(self) -> dict[str, Json]:
        """All members together, curves still as arrays."""
        return {
            "metadata": self.metadata,
            "global_metrics": self.global_metrics,
            "layers": self.layers,
            **self.others,
        }


class GenesisMaps:
    """The collection of maps. A server that does not answer is a TransientError."""

    def __init__(self, settings: MongoSettings) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            settings.url.get_secret_value(),
            serverSelectionTimeoutMS=3000,
            connectTimeoutMS=3000,
            socketTimeoutMS=15000,
            # A confirmed map survives the server's sudden end.
            journal=True,
            appname="k1-catalogue",
        )
        self._maps = self._client[settings.database][COLLECTION]

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    async def check(self) -> None:
        """Raise unless the server answers; for readiness."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError as error:
            raise _transient(error) from error

    async def put(self, track_id: str, version: int, content: dict[str, Json]) -> None:
        """Write a map (the parsed v4 JSON); writing the same again changes nothing.

        Only after a completion that was never told of, a rerun of its job can bring another map: it
        takes the place of the first, which nobody has read.

        Raises:
            PermanentError: `genesis_unstorable`, the map has values or a size that MongoDB cannot hold.
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
            kept = await self._maps.find_one(key, {"metadata": 1})
            if kept is None or kept["metadata"] != document["metadata"]:
                await self._maps.delete_one(key)
                await self._maps.insert_one(document)

    async def get(self, track_id: str, version: int) -> StoredMap | None:
        """A whole map; None when there is none."""
        found = await self._find(track_id, version, None)
        if found is None:
            return None
        layers = {
            name: layer if name in _PLAIN_LAYERS else unpack(layer) for name, layer in found["layers"].items()
        }
        return StoredMap(found["metadata"], found["global_metrics"], layers, found["others"])

    async def head(self, track_id: str, version: int) -> MapHead | None:
        """The metadata and figures of a map, without its layers."""
        found = await self._find(track_id, version, {"metadata": 1, "global_metrics": 1})
        return MapHead(found["metadata"], found["global_metrics"]) if found else None

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
