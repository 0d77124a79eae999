"""Computes the rows that lists are read from again, while the service runs: `python -m k1_catalogue.rebuild`.

It is needed after a change of the search texts, and mends rows that were changed by hand.
"""

import asyncio

from k1_catalogue.tracks.rebuild_store import rebuild_totals, rebuild_tracks
from k1_platform.postgres.pool import open_pool
from k1_platform.settings import PostgresSettings


async def rebuild() -> int:
    """Rebuild all tracks and the totals; return the number of tracks."""
    async with await open_pool(PostgresSettings(), "catalogue-rebuild") as pool:
        count = await rebuild_tracks(pool)
        async with pool.acquire() as connection:
            await rebuild_totals(connection)
    return count


if __name__ == "__main__":
    print(f"rebuilt {asyncio.run(rebuild())} tracks")
