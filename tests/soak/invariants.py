"""Checks that the stores agree with each other, and with what clients were told, once everything has ended."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr
from pymongo import MongoClient

from k1_contracts import streams
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from tests.soak.activities import Activities
from tests.support.bus import connected_client, read_stream
from tests.support.system import System

_FOLDERS = ("audio/", "artefacts/", "graphs/", "overrides/", "runs/")


def find_violations(system: System, activities: Activities) -> list[str]:
    """Return a text for each violated invariant."""
    checks = (_tracks, _edits, _deployments, _locks, _sessions, _maps, _objects, _dead_letters)
    found: list[str] = []
    for check in checks:
        try:
            found += check(system, activities)
        except Exception as error:  # noqa: BLE001  a check that cannot be made is a violation too
            found.append(f"{check.__name__} could not be checked: {error!r}")
    return found


def _tracks(system: System, activities: Activities) -> Iterator[str]:
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


def _edits(system: System, activities: Activities) -> Iterator[str]:
    """Each track has the title of its last accepted edit."""
    for track, title in activities.titles.items():
        stored = system.track(track)["track"]["title"]
        if stored != title:
            yield f"{track} is called {stored!r} after the edit to {title!r}"


def _deployments(system: System, activities: Activities) -> Iterator[str]:
    """Every accepted deployment is there once, and no other."""
    stored = {row["id"] for row in system.sql("SELECT id FROM deploy.deployments")}
    if missing := set(activities.deployments) - stored:
        yield f"accepted deployments are missing: {sorted(missing)[:5]}"
    if len(set(activities.deployments)) != len(activities.deployments):
        yield "two requests got the same deployment"
    waiting = system.sql("SELECT deployment_id FROM deploy.signals")
    yield from (f"a signal for {row['deployment_id']} is not handled" for row in waiting)


def _locks(system: System, _: Activities) -> Iterator[str]:
    """No deployment holds a device, and no process a deployment."""
    locks = system.sql("SELECT device_id FROM deploy.device_locks WHERE deployment_id IS NOT NULL")
    yield from (f"{row['device_id']} is still locked" for row in locks)
    leases = system.sql(
        "SELECT id, status FROM deploy.deployments WHERE owner IS NOT NULL AND lease_until > now() + interval '1 minute'"
    )
    yield from (f"{row['id']} ({row['status']}) is still leased" for row in leases)


def _sessions(system: System, activities: Activities) -> Iterator[str]:
    """Every sign-in that was answered is a session."""
    stored = {row["id"] for row in system.sql("SELECT id FROM accounts.sessions")}
    if missing := set(activities.sessions) - stored:
        yield f"sessions are missing: {sorted(missing)[:5]}"


def _maps(system: System, _: Activities) -> Iterator[str]:
    """There is one map for each version."""
    environment = system.stack.environment
    with MongoClient[dict[str, Any]](environment["K1_MONGO_URL"]) as client:
        maps = {(each["track_id"], each["version"]) for each in client["k1"]["genesis_maps"].find({}, {"track_id": 1, "version": 1})}  # fmt: skip
    versions = {(row["track_id"], row["version"]) for row in system.sql("SELECT track_id, version FROM catalogue.versions")}  # fmt: skip
    yield from (f"the map of {track} version {number} is missing" for track, number in versions - maps)
    yield from (f"there is a map of {track} version {number}" for track, number in maps - versions)


def _objects(system: System, _: Activities) -> Iterator[str]:
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


def _dead_letters(system: System, _: Activities) -> Iterator[str]:
    yield from (f"dead letter of {each.durable}: {each.reason}" for each in system.dead_letters())
