"""Similar songs: vectors from maps, both ways of finding neighbours, and what a caller is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity import store
from k1_catalogue.similarity.exact_index import ExactIndex
from k1_catalogue.similarity.features import DIMENSIONS, GROUPS, Vector, feature_vector, group_distances
from k1_catalogue.similarity.queries import SimilarQueries, explain
from k1_catalogue.similarity.rebuild import rebuild_features
from k1_catalogue.similarity.store import STORED_LENGTH, VectorRow
from k1_contracts.genesis import GenesisMap
from k1_contracts.ids import derived_id
from k1_contracts.messages.catalogue.similar import FindSimilar
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests import song_samples as songs


def random_vector(seed: int) -> Vector:
    """Return a vector like those of songs."""
    return (0.3 * np.random.default_rng(seed).standard_normal(DIMENSIONS)).astype(np.float32)


def track_id(number: int) -> str:
    """Return the id of the track with this number."""
    return derived_id("trk", "similar", str(number))


async def add_track(
    pool: Pool, number: int, vector: Vector, *, status: str = "ready", versions: int = 1
) -> None:
    """Add a track whose last version is in use; earlier versions have vectors that are nearer to everything."""
    identity = track_id(number)
    await pool.execute(
        """
        INSERT INTO catalogue.tracks
            (id, title, title_key, tags, filename, audio, status, current_version, search, created_at, updated_at)
        VALUES ($1, $2, $2, '{}', 'a.wav', $5, $3, $4, '', now(), now())
        """,
        identity, f"song {number}", status, versions, songs.Song().uploaded().audio.model_dump_json(),
    )  # fmt: skip
    for version in range(1, versions + 1):
        await pool.execute(
            "INSERT INTO catalogue.versions (track_id, version, job_id, status, map_sha256, created_at)"
            " VALUES ($1, $2, $3, 'ready', 'x', now())",
            identity, version, f"job {number} {version}",
        )  # fmt: skip
        async with pool.acquire() as connection:
            used = vector if version == versions else np.zeros(DIMENSIONS, dtype=np.float32)
            await store.save_features(connection, identity, version, used)


@pytest.mark.parametrize("indexed", [True, False])
async def test_the_nearest_playable_tracks_are_found(pool: Pool, maps: MapStore, indexed: bool) -> None:
    """Both ways return the true neighbours in their order: no failed track, no old version, not the song itself."""
    vectors = {number: random_vector(number) for number in range(60)}
    for number, vector in vectors.items():
        status = "failed" if number % 10 == 9 else "warning" if number % 10 == 8 else "ready"
        await add_track(pool, number, vector, status=status, versions=1 + number % 3)
    queries = SimilarQueries(pool, maps)
    async with pool.acquire() as connection:
        if indexed and not await store.has_vector_index(connection):
            pytest.skip("this PostgreSQL has no pgvector")
        nearest = store.nearest_by_index if indexed else queries.exact.nearest
        found = await nearest(connection, vectors[3], track_id(3), 20)
    playable = [number for number in vectors if number % 10 != 9 and number != 3]
    expected = sorted(playable, key=lambda number: float(np.linalg.norm(vectors[number] - vectors[3])))[:20]
    assert [each.track["title"] for each in found] == [f"song {number}" for number in expected]


async def test_a_caller_gets_neighbours_and_reasons(pool: Pool, maps: MapStore) -> None:
    """Distances rise, the parts of the groups add up, and new tracks are found at once."""
    for number in range(12):
        await add_track(pool, number, random_vector(number))
    queries = SimilarQueries(pool, maps)
    first = await queries.find_similar(FindSimilar(track_id=track_id(0), limit=5))
    assert len(first.items) == 5
    assert first.searched == 12
    distances = [item.distance for item in first.items]
    assert distances == sorted(distances)
    for item in first.items:
        assert sum(part.distance**2 for part in item.groups) == pytest.approx(item.distance**2, rel=1e-2)
        assert item.groups[0].group in item.why
    await add_track(pool, 99, random_vector(0))
    twin = (await queries.find_similar(FindSimilar(track_id=track_id(0), limit=1))).items[0]
    assert (twin.track.title, twin.distance) == ("song 99", 0)


async def test_songs_get_vectors_when_they_are_analysed(
    pool: Pool, maps: MapStore, objects: ObjectStore, job_events: JobEventHandlers
) -> None:
    """The vector is stored with the result. A lost one is computed from the map, by the rebuild and by a query."""
    song = songs.Song()
    await job_events.handle_track_uploaded(songs.message(song.uploaded()))
    await job_events.handle_started(songs.message(song.started()))
    await job_events.handle_completed(songs.message(await song.analysed(objects)))
    expected = feature_vector(GenesisMap.model_validate(songs.genesis()))
    async with pool.acquire() as connection:
        stored = await store.find_features(connection, song.track_id, 1)
    assert stored is not None
    np.testing.assert_array_equal(stored, expected)
    await pool.execute("DELETE FROM catalogue.version_features")
    assert await rebuild_features(pool, maps) == 1
    assert await rebuild_features(pool, maps) == 0
    await pool.execute("UPDATE catalogue.version_features SET features_version = 0")
    answer = await SimilarQueries(pool, maps).find_similar(FindSimilar(track_id=song.track_id))
    assert (answer.items, answer.searched) == ([], 1)


async def test_tracks_without_a_map_are_problems(pool: Pool, maps: MapStore) -> None:
    """An unknown track, and one that is still analysed."""
    queries = SimilarQueries(pool, maps)
    with pytest.raises(QueryError, match="no track"):
        await queries.find_similar(FindSimilar(track_id=track_id(1)))
    await add_track(pool, 1, random_vector(1))
    await pool.execute("UPDATE catalogue.versions SET map_sha256 = NULL, status = 'processing'")
    with pytest.raises(QueryError) as pending:
        await queries.find_similar(FindSimilar(track_id=track_id(1)))
    assert pending.value.code == "genesis_pending"


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3), st.integers(0, 10**6)), max_size=60))
def test_the_matrix_keeps_the_last_vector_of_each_version(rows: list[tuple[int, int, int]]) -> None:
    """In whatever order rows come, and however often, the index holds the last one of each version."""
    index, last = ExactIndex(), dict[tuple[str, int], Vector]()
    for seq, (number, version, seed) in enumerate(rows):
        vector = random_vector(seed)
        index.add(VectorRow(seq, str(number), version, vector))
        last[(str(number), version)] = vector
    kept = dict(zip(index._keys, index._matrix, strict=False))
    assert kept.keys() == last.keys()
    for key, vector in last.items():
        np.testing.assert_array_equal(kept[key], vector)


def test_every_map_has_a_finite_vector() -> None:
    """Silence has no beats, no key and no loudness; its vector is still finite and within the limits."""
    silent = songs.genesis()
    silent["global_metrics"] |= {"bpm": 0.0, "integrated_lufs": None, "key": "", "key_strength": 0.0}
    silent["layers"]["rhythm"] = {
        "beat_grid_ms": [],
        "downbeat_ms": [],
        "beat_strength": [],
        "tempo_curve": [],
    }
    silent["layers"]["spectral"] = {
        "centroid": [], "flux": [], "flatness": [], "rolloff": [], "chroma": [[] for _ in range(12)],
    }  # fmt: skip
    for part in ("bass", "mids", "highs"):
        silent["layers"]["frequency"][part] = []
    vector = feature_vector(GenesisMap.model_validate(silent))
    assert np.isfinite(vector).all()
    assert float(np.linalg.norm(vector)) <= 3 * len(GROUPS) ** 0.5
    assert STORED_LENGTH >= DIMENSIONS


def test_half_the_tempo_is_near_and_another_tempo_is_not() -> None:
    """Double time counts as nearly the same tempo; a fifth between two tempi is far."""

    def vector(bpm: float) -> Vector:
        song = songs.genesis()
        song["global_metrics"]["bpm"] = bpm
        return feature_vector(GenesisMap.model_validate(song))

    half, other = (group_distances(vector(140), vector(bpm))["tempo"] for bpm in (70, 100))
    assert half < other


def test_a_reason_names_the_nearest_groups() -> None:
    """At least the nearest group is named, and the furthest where it is not near."""
    far = {"tempo": 2.0, "rhythm": 1.5, "harmony": 1.8, "timbre": 1.9, "dynamics": 1.7}
    assert explain(far) == "Nearest in timbre; furthest in tempo."  # type: ignore[arg-type]
    near = far | {"tempo": 0.1, "harmony": 0.2}
    assert explain(near) == "Nearest in harmony and tempo; furthest in dynamics."  # type: ignore[arg-type]


async def test_a_server_without_pgvector_still_migrates(pool: Pool) -> None:
    """The block that adds the index gives way to the errors of a server that lacks the extension."""
    from k1_catalogue.feature_table import ENABLE_VECTOR_INDEX

    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("ALTER TABLE catalogue.version_features DROP COLUMN IF EXISTS embedding")
        await connection.execute(
            ENABLE_VECTOR_INDEX.replace("EXTENSION IF NOT EXISTS vector", "EXTENSION no_such")
        )
        assert not await store.has_vector_index(connection)
        await transaction.rollback()
