"""Checks tracks, their versions, their maps and their events."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pymongo import MongoClient

from k1_contracts import streams
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from tests.soak.activities import Activities
from tests.support.bus import connected_client, read_stream
from tests.support.system import System


def uploads_are_tracks(system: System, activities: Activities) -> Iterator[str]:
    """Every accepted upload is one track with one version and one event; there is no other track."""
    rows = system.sql("SELECT id, status FROM catalogue.tracks")
    stored = {row["id"]: row["status"] for row in rows}
    yield from (f"the accepted track {each} is missing" for each in activities.uploads.keys() - stored.keys())
    yield from (
        f"{each} is {status}" for each, status in stored.items() if status not in {"ready", "warning"}
    )
    versions = system.sql("SELECT track_id, count(*) AS n FROM catalogue.versions GROUP BY track_id")
    yield from (f"{row['track_id']} has {row['n']} versions" for row in versions if row["n"] != 1)
    (total,) = system.sql("SELECT coalesce(sum(n), 0)::int AS n FROM catalogue.totals WHERE kind = 'tracks'")
    if total["n"] != len(stored):
        yield f"the totals say {total['n']} tracks, there are {len(stored)}"
    events = asyncio.run(_uploaded(system))
    yield from (f"{each} was announced {count} times" for each, count in events.items() if count != 1)
    if events.keys() != stored.keys():
        yield f"announced and stored tracks differ: {sorted(events.keys() ^ stored.keys())[:5]}"


async def _uploaded(system: System) -> Counter[str]:
    async with connected_client(system.stack.bus) as client:
        messages = await read_stream(client, streams.EVENTS, TRACK_UPLOADED.subject)
    return Counter(json.loads(each.data)["track_id"] for each in messages)


def edits_are_kept(system: System, activities: Activities) -> Iterator[str]:
    """Each track has the title of its last accepted edit."""
    for track, title in activities.titles.items():
        stored = system.track(track)["track"]["title"]
        if stored != title:
            yield f"{track} is called {stored!r} after the edit to {title!r}"


def versions_have_maps(system: System, _: Activities) -> Iterator[str]:
    """There is one map for each version."""
    environment = system.stack.environment
    with MongoClient[dict[str, Any]](environment["K1_MONGO_URL"]) as client:
        maps = {(each["track_id"], each["version"]) for each in client["k1"]["genesis_maps"].find({}, {"track_id": 1, "version": 1})}  # fmt: skip
    versions = {(row["track_id"], row["version"]) for row in system.sql("SELECT track_id, version FROM catalogue.versions")}  # fmt: skip
    yield from (f"the map of {track} version {number} is missing" for track, number in versions - maps)
    yield from (f"there is a map of {track} version {number}" for track, number in maps - versions)
