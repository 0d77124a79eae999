"""Copies the collections of MongoDB as files of BSON, one document after the other, as mongodump writes them."""

from pathlib import Path
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from k1_platform.settings import MongoSettings

_SUFFIX: Final = ".bson"
_TIMEOUT_MS: Final = 10_000
_RAW: Final = bson.CodecOptions(document_class=RawBSONDocument)
"""Documents stay the bytes that they are."""


def _client(settings: MongoSettings) -> MongoClient[Any]:
    return MongoClient(
        settings.url.get_secret_value(), serverSelectionTimeoutMS=_TIMEOUT_MS, appname="k1-backup"
    )


def save_documents(settings: MongoSettings, folder: Path) -> dict[str, int]:
    """Write all collections; return the number of documents of each."""
    counts: dict[str, int] = {}
    with _client(settings) as client:
        database = client.get_database(settings.database, codec_options=_RAW)
        for name in sorted(client[settings.database].list_collection_names()):
            counts[name] = 0
            with (folder / f"{name}{_SUFFIX}").open("wb") as file:
                for document in database[name].find():
                    file.write(document.raw)
                    counts[name] += 1
    return counts


def load_documents(settings: MongoSettings, folder: Path) -> dict[str, int]:
    """Insert all documents; return the number of those of each collection."""
    counts: dict[str, int] = {}
    with _client(settings) as client:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            collection = client[settings.database][path.name.removesuffix(_SUFFIX)]
            counts[collection.name] = 0
            with path.open("rb") as file:
                for document in bson.decode_file_iter(file, _RAW):
                    collection.insert_one(document)
                    counts[collection.name] += 1
    return counts


def count_documents(settings: MongoSettings) -> int:
    """Return the number of documents of all collections."""
    with _client(settings) as client:
        database = client[settings.database]
        return sum(database[name].count_documents({}) for name in database.list_collection_names())
