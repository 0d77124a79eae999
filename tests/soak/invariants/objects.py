"""Checks the objects of the object store."""

import asyncio
import json
from collections.abc import Iterator
from typing import Final

from pydantic import SecretStr

from k1_contracts import streams
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from tests.soak.activities import Activities
from tests.support.bus import connected_client, read_stream
from tests.support.system import System

_FOLDERS: Final = ("audio/", "artefacts/", "graphs/", "overrides/", "runs/")


def references_and_objects_agree(system: System, _: Activities) -> Iterator[str]:
    """Every referenced object exists, and every other one is known to something that removes it."""
    stored = asyncio.run(_stored(system))
    referenced = {row["key"] for row in system.sql("SELECT key FROM catalogue.object_references")}
    retired = {row["key"] for row in system.sql("SELECT key FROM catalogue.retired_objects")}
    pending = asyncio.run(_pending(system))
    yield from (f"the object {key} is missing" for key in sorted(referenced - stored)[:5])
    known = {key for key in stored if key.endswith("/manifest.json")} | referenced | retired | pending
    for key in sorted(stored - known)[:5]:
        yield f"nothing refers to the object {key}"
    yield from (
        f"the object {key} is in no folder that is cleaned" for key in stored if not key.startswith(_FOLDERS)
    )


async def _stored(system: System) -> set[str]:
    environment = system.stack.environment
    store = ObjectStore(
        ObjectStoreSettings(
            url=environment["K1_S3_URL"],
            access_key=SecretStr(environment["K1_S3_ACCESS_KEY"]),
            secret_key=SecretStr(environment["K1_S3_SECRET_KEY"]),
            bucket=environment["K1_S3_BUCKET"],
        )
    )
    try:
        return {each.key async for batch in store.batches("") for each in batch}
    finally:
        store.close()


async def _pending(system: System) -> set[str]:
    """Return the objects of broken uploads, which ingest deletes half an hour later."""
    async with connected_client(system.stack.bus) as client:
        entries = await read_stream(client, streams.UPLOADS.stream, f"$KV.{streams.UPLOADS.name}.pending.*")
    return {json.loads(each.data)["object_key"] for each in entries if each.data}
