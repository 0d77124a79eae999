"""Genesis maps on a real server of the MongoDB protocol."""

import pytest
from pydantic import SecretStr

from k1_catalogue.maps import GenesisMaps
from k1_catalogue.packing import expand
from k1_contracts.ids import new_id
from k1_platform.errors import PermanentError, TransientError
from k1_platform.settings import MongoSettings
from services.catalogue.tests.songs import genesis


async def test_a_map_comes_back_with_the_same_values(maps: GenesisMaps) -> None:
    """What is read is equal to the artefact, unknown members, dotted names and all."""
    track_id, content = new_id("trk"), genesis(120.0)
    await maps.put(track_id, 1, content)
    found = await maps.get(track_id, 1)
    assert found is not None
    assert content == expand(found.whole())


async def test_writing_again_changes_nothing(maps: GenesisMaps) -> None:
    """A process that died after writing may write again; versions are apart."""
    track_id = new_id("trk")
    for _ in range(2):
        await maps.put(track_id, 1, genesis(seed=1))
    await maps.put(track_id, 2, genesis(seed=2))
    first, second = await maps.get(track_id, 1), await maps.get(track_id, 2)
    assert first is not None
    assert second is not None
    assert (genesis(seed=1), genesis(seed=2)) == (expand(first.whole()), expand(second.whole()))


async def test_another_map_of_the_same_version_replaces_the_first(maps: GenesisMaps) -> None:
    """A rerun whose first result was never told of may have another map."""
    track_id = new_id("trk")
    await maps.put(track_id, 1, genesis(seed=1))
    await maps.put(track_id, 1, genesis(seed=2))
    found = await maps.get(track_id, 1)
    assert found is not None
    assert genesis(seed=2) == expand(found.whole())


async def test_the_head_is_read_without_the_layers(maps: GenesisMaps) -> None:
    """A version's page needs the figures only."""
    track_id, content = new_id("trk"), genesis()
    await maps.put(track_id, 1, content)
    head = await maps.head(track_id, 1)
    assert head is not None
    assert (content["metadata"], content["global_metrics"]) == (head.metadata, head.global_metrics)


async def test_what_is_not_there(maps: GenesisMaps) -> None:
    """None, for a map and for its head."""
    assert await maps.get(new_id("trk"), 1) is None
    assert await maps.head(new_id("trk"), 1) is None


async def test_a_map_that_cannot_be_stored(maps: GenesisMaps) -> None:
    """An integer beyond 64 bits is refused for good: writing it again would fail again."""
    content = genesis()
    content["metadata"]["analysis_config"] = {"seed": 2**70}
    with pytest.raises(PermanentError) as caught:
        await maps.put(new_id("trk"), 1, content)
    assert caught.value.code == "genesis_unstorable"


async def test_a_server_that_is_away() -> None:
    """Worth another try."""
    maps = GenesisMaps(MongoSettings(url=SecretStr("mongodb://127.0.0.1:1")))
    with pytest.raises(TransientError):
        await maps.get(new_id("trk"), 1)
    maps.close()
