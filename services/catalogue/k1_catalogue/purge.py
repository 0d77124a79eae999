"""Removes the deleted tracks that are due, at once: `python -m k1_catalogue.purge [--dry-run] [--days N]`.

The service does the same every ten minutes for tracks that were deleted thirty days ago. With `--dry-run` nothing is
removed. Prints one line of JSON for each track.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.purge_store import DueTrack
from k1_catalogue.edits.track_edits import PURGE_AFTER
from k1_catalogue.maps.store import MapStore
from k1_contracts.base import rfc3339
from k1_platform.postgres.pool import open_pool
from k1_platform.settings import MongoSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore


async def purge(purge_after: timedelta, *, is_dry_run: bool) -> list[DueTrack]:
    """Remove the tracks that were deleted before `purge_after` ago, or only return them."""
    async with AsyncExitStack() as cleanup:
        pool = await cleanup.enter_async_context(await open_pool(PostgresSettings(), "catalogue-purge"))
        maps = MapStore.connect(MongoSettings())
        cleanup.callback(maps.close)
        objects = ObjectStore(ObjectStoreSettings())
        cleanup.callback(objects.close)
        purger = Purger(pool, maps, objects, lambda: datetime.now(UTC), purge_after)
        return await (purger.find_due() if is_dry_run else purger.purge_due())


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and print each track that was, or would be, removed."""
    parser = argparse.ArgumentParser(description="Removes deleted tracks for good.")
    parser.add_argument("--dry-run", action="store_true", help="only print the tracks that are due")
    parser.add_argument(
        "--days", type=float, default=PURGE_AFTER.days, help="days since the deletion, 30 by default"
    )
    given = parser.parse_args(arguments)
    for track in asyncio.run(purge(timedelta(days=given.days), is_dry_run=given.dry_run)):
        line = {"track_id": track.id, "title": track.title, "deleted_at": rfc3339(track.deleted_at)}
        print(json.dumps(line | {"removed": not given.dry_run}, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
