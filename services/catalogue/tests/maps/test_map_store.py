"""Tests of the store of Genesis maps, with a real server of the MongoDB protocol."""

import pytest
from pydantic import SecretStr

from k1_catalogue.maps.packing import expand
from k1_catalogue.maps.store import MapStore
from k1_contracts.ids import new_id
from k1_platform.errors import PermanentError, TransientError
from k1_platform.settings import MongoSettings
from services.catalogue.tests.song_samples import genesis


async def test_a_map_is_read_with_the_same_values(maps: MapStore) -> None:
    """The stored map equals the artefact, including unknown members and dotted names."""
    track_id, content = new_id("trk"), genesis(120.0)
    await maps.put(track_id, 1, content)
    found = await maps.get(track_id, 1)
    assert found is not None
    assert content == expand(found.members())


async def test_writing_again_changes_nothing(maps: MapStore) -> None:
    """A process that died after writing can write again; versions are separate."""
    track_id = new_id("trk")
    for _ in range(2):
        await maps.put(track_id, 1, genesis(seed=1))
    await maps.put(track_id, 2, genesis(seed=2))
    first, second = await maps.get(track_id, 1), await maps.get(track_id, 2)
    assert first is not None
    assert second is not None
    assert (genesis(seed=1), genesis(seed=2)) == (expand(first.members()), expand(second.members()))


async def test_another_map_of_the_same_version_replaces_the_first(maps: MapStore) -> None:
    """A job that runs again may bring another map if its first result was never recorded."""
    track_id = new_id("trk")
    await maps.put(track_id, 1, genesis(seed=1))
    await maps.put(track_id, 1, genesis(seed=2))
    found = await maps.get(track_id, 1)
    assert found is not None
    assert genesis(seed=2) == expand(found.members())


async def test_the_head_is_read_without_the_layers(maps: MapStore) -> None:
    """The head has the metadata and the global metrics."""
    track_id, content = new_id("trk"), genesis()
    await maps.put(track_id, 1, content)
    head = await maps.get_head(track_id, 1)
    assert head is not None
    assert (content["metadata"], content["global_metrics"]) == (head.metadata, head.global_metrics)


async def test_missing_maps(maps: MapStore) -> None:
    """A missing map and its head are None."""
    assert await maps.get(new_id("trk"), 1) is None
    assert await maps.get_head(new_id("trk"), 1) is None


async def test_a_map_that_cannot_be_stored(maps: MapStore) -> None:
    """An integer beyond 64 bits is a permanent error, because every attempt would fail."""
    content = genesis()
    content["metadata"]["analysis_config"] = {"seed": 2**70}
    with pytest.raises(PermanentError) as caught:
        await maps.put(new_id("trk"), 1, content)
    assert caught.value.code == "genesis_unstorable"


async def test_an_unreachable_server() -> None:
    """The error is transient."""
    maps = MapStore.connect(MongoSettings(url=SecretStr("mongodb://127.0.0.1:1")))
    with pytest.raises(TransientError):
        await maps.get(new_id("trk"), 1)
    maps.close()
