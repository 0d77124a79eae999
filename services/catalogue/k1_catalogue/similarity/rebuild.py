"""Computes the feature vectors that are missing, while the service runs: `python -m k1_catalogue.similarity.rebuild`.

Run it after an upgrade that changes the features, or after pgvector was installed.
"""

import asyncio
import logging
from typing import Final

from k1_catalogue.feature_table import ENABLE_VECTOR_INDEX
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity import store
from k1_catalogue.similarity.queries import vector_from_map
from k1_platform.observability.logging import configure_logging
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import MongoSettings, ObservabilitySettings, PostgresSettings

_BATCH: Final = 100
_log = logging.getLogger(__name__)


async def rebuild_features(pool: Pool, maps: MapStore) -> int:
    """Return how many vectors were computed. A run that was interrupted goes on where it ended."""
    await pool.execute(ENABLE_VECTOR_INDEX)
    done, after = 0, ""
    while True:
        async with pool.acquire() as connection:
            missing = await store.versions_without_features(connection, after, _BATCH)
            if not missing:
                return done
            for track_id, version in missing:
                vector = await vector_from_map(maps, track_id, version)
                if vector is not None:
                    await store.save_features(connection, track_id, version, vector)
                    done += 1
        after = missing[-1][0]
        _log.info("feature vectors", extra={"computed": done, "up_to": after})


async def _run() -> None:
    maps = MapStore.connect(MongoSettings())
    async with await open_pool(PostgresSettings(), "features") as pool:
        done = await rebuild_features(pool, maps)
    maps.close()
    _log.info("all feature vectors are there", extra={"computed": done})


def main() -> None:
    """Run the command."""
    configure_logging("features", ObservabilitySettings().log_level)
    asyncio.run(_run())


if __name__ == "__main__":
    main()
