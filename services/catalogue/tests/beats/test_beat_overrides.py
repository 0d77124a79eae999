"""Overrides of beats with real stores, and a worker in this process: versions, conditions, keys, events and crashes."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from k1_catalogue.beats.editor import BeatEditor
from k1_catalogue.beats.queries import BeatQueries
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.history.store import rows_at
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.actors import Actor
from k1_contracts.messages.catalogue.beats import (
    ApplyBeats,
    BeatOverrideDocument,
    BeatOverrideSaved,
    BeatOverrideView,
    BeatsApplied,
    BeatsOverridden,
    GetBeatOverride,
    PreviewBeats,
    RemoveBeatOverride,
    SaveBeatOverride,
)
from k1_contracts.messages.catalogue.graphs import GetGraph, PutGraph
from k1_contracts.messages.catalogue.tracks import Artefact, GetTrack, GetVersion
from k1_contracts.messages.deploy.bundles import GetBundle
from k1_contracts.tracks import Notice
from k1_graph.bundle.container import key_id, read_bundle
from k1_platform.auth.signing import KeyRing
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.beat_worker import BeatWorker
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.graph_samples import GRAPH, edited_graph
from services.catalogue.tests.job_tables import insert_reanalysis
from services.catalogue.tests.song_samples import Song, genesis, message
from tests.support.waiting import PATIENCE_S

ADA = Actor(kind="user", id="usr_ada", name="Ada", role="editor")
BEATS: list[float] = genesis()["layers"]["rhythm"]["beat_grid_ms"]
LATER = [round(beat + 20, 1) for beat in BEATS]


def save(song: Song, version: int = 1, **fields: Any) -> SaveBeatOverride:
    given: dict[str, Any] = {"beats_ms": LATER} | fields
    return SaveBeatOverride(track_id=song.track_id, version=version, **given)


async def view(beats: BeatQueries, song: Song, version: int = 1) -> BeatOverrideView:
    return await beats.get_override(GetBeatOverride(track_id=song.track_id, version=version))


async def artefacts(track_queries: TrackQueries, song: Song, version: int) -> dict[str, Artefact]:
    """Return the artefacts of a version by name."""
    found = await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=version))
    return {each.name: each for each in found.artefacts}


async def counted(pool: Pool) -> dict[str, int]:
    tables = ("versions", "beat_edits", "version_features", "artefacts", "graphs", "track_events", "outbox")
    return {table: await pool.fetchval(f"SELECT count(*) FROM catalogue.{table}") for table in tables}


async def refused(response: Awaitable[object]) -> tuple[str, int]:
    with pytest.raises(QueryError) as caught:
        await response
    return caught.value.code, caught.value.status


async def test_an_override_makes_a_version_that_is_ready(
    *,
    editor: BeatEditor, beats: BeatQueries, track_queries: TrackQueries, song: Song, pool: Pool, keys: KeyRing,
    objects: ObjectStore,
) -> None:  # fmt: skip
    """Map, show and signed bundle have the person's beats; the version is current and deployable, the old one as it was."""
    before = await artefacts(track_queries, song, 1)
    with acting_as(ADA):
        saved = await editor.save(save(song, note="late"))
    assert (saved.version, saved.base_version, saved.status, saved.f_measure) == (2, 1, "ready", 0.5)
    detail = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert (detail.track.current_version, detail.track.status, detail.track.bpm) == (2, "ready", 64.0)
    assert [version.job_id for version in detail.versions] == [None, song.job_id]
    assert detail.beat_override is not None
    assert (detail.beat_override.version, detail.beat_override.author.name) == (2, "Ada")
    found = await artefacts(track_queries, song, 2)
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        data = (await http.get(found["bundle.k1b"].url or "")).content
    bundle = read_bundle(data, {key_id(key): key for key in keys.public})
    assert bundle.manifest.track_version == 2
    held = bundle.genesis.layers.rhythm.beat_grid_ms
    assert held == pytest.approx(LATER, abs=1)
    info = await BundleQueries(pool, objects).get_bundle(GetBundle(track_id=song.track_id, version=2))
    assert (info.track_status, info.f_measure_reference) == ("ready", "override")
    document = BeatOverrideDocument.model_validate(found["graph.analysis.beat_override.json"].inline_json)
    assert (document.beats_ms, document.note, document.author.name) == (LATER, "late", "Ada")
    impact = found["graph.impact.json"].inline_json or {}
    assert (impact["against"], impact["changedNodes"]) == ("version 1", [])
    after = await artefacts(track_queries, song, 1)
    assert {name: each.sha256 for name, each in after.items()} == {
        name: each.sha256 for name, each in before.items()
    }
    shown = await view(beats, song, 2)
    assert (shown.beats_ms, shown.base_version, shown.etag) == (LATER, 1, saved.etag)
    assert shown.override is not None
    assert (shown.override.cemgil, shown.override.changes.moved_count) == (0.4, len(BEATS))


async def test_the_event_and_the_audit_name_the_author(editor: BeatEditor, song: Song, pool: Pool) -> None:
    with acting_as(ADA):
        saved = await editor.save(save(song, beats_ms=LATER[:-1]))
    row = await pool.fetchrow("SELECT subject, headers, body FROM catalogue.outbox ORDER BY id DESC LIMIT 1")
    assert row is not None
    event = BeatsOverridden.model_validate_json(row["body"])
    assert row["subject"] == "beats.overridden"
    assert json.loads(json.loads(row["headers"])["ce-actor"])["id"] == ADA.id
    assert (event.version, event.etag, event.author.id) == (saved.version, saved.etag, ADA.id)
    assert (event.moved, event.added, event.deleted) == (len(BEATS) - 1, 0, 1)
    line = await pool.fetchrow(
        "SELECT actor ->> 'name', action, detail, after FROM catalogue.track_events ORDER BY id DESC LIMIT 1"
    )
    assert line is not None
    moved = f"{len(BEATS) - 1} beats moved, 0 added, 1 removed"
    assert tuple(line)[:3] == ("Ada", "beats overridden", f"version 2 from version 1: {moved}")
    after = json.loads(line["after"])
    assert set(after) == {"track", "versions", "beat_edits"}
    assert after["track"]["current_version"] == 2
    assert after["beat_edits"]["2"]["author"]["id"] == ADA.id
    async with pool.acquire() as connection:
        replayed = (await rows_at(connection, song.track_id)).beat_edits
    assert replayed == await edit_rows(pool)


async def edit_rows(pool: Pool) -> dict[str, Any]:
    """Return the table of edits as JSON, by version."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL timezone = 'UTC'")
        rows = await connection.fetch("SELECT version, to_jsonb(e) AS row FROM catalogue.beat_edits AS e")
    return {str(row["version"]): json.loads(row["row"]) for row in rows}


async def test_an_edited_graph_is_kept(editor: BeatEditor, graphs: GraphQueries, song: Song) -> None:
    """The graph of the edited version goes into the new one, as it is, and is run."""
    track_id = song.track_id
    await graphs.put_graph(PutGraph(track_id=track_id, version=1, graph=edited_graph(700)))
    await editor.save(save(song))
    kept = await graphs.get_graph(GetGraph(track_id=track_id, version=2))
    assert (kept.graph, kept.source, kept.revision) == (edited_graph(700), "edited", 1)


async def test_one_of_two_concurrent_overrides_wins(
    editor: BeatEditor, beats: BeatQueries, song: Song, pool: Pool
) -> None:
    tag = (await view(beats, song)).etag
    results = await asyncio.gather(
        editor.save(save(song, if_match=[tag])),
        editor.save(save(song, beats_ms=BEATS[::2], if_match=[tag])),
        return_exceptions=True,
    )
    [winner] = [each for each in results if isinstance(each, BeatOverrideSaved)]
    [loser] = [each for each in results if isinstance(each, QueryError)]
    assert (loser.code, loser.status) == ("override_changed", 412)
    assert await pool.fetchval("SELECT count(*) FROM catalogue.versions") == 2
    assert (await view(beats, song, 2)).etag == winner.etag != tag
    # The tag is that of the line: it is the same for each of its versions.
    assert (await view(beats, song, 1)).etag == winner.etag
    assert await refused(editor.save(save(song, version=2, if_match=[tag]))) == ("override_changed", 412)
    assert (await editor.save(save(song, version=2, if_match=[winner.etag]))).base_version == 1


async def test_without_a_condition_both_are_saved(editor: BeatEditor, beats: BeatQueries, song: Song) -> None:
    """Each gets its own number, and its own map."""
    saved = await asyncio.gather(editor.save(save(song)), editor.save(save(song, beats_ms=BEATS[::2])))
    assert sorted(each.version for each in saved) == [2, 3]
    for each, expected in zip(saved, (LATER, BEATS[::2]), strict=True):
        assert (await view(beats, song, each.version)).beats_ms == expected


async def test_a_version_that_is_requested_meanwhile_takes_its_number(
    *,
    editor: BeatEditor, worker: BeatWorker, beats: BeatQueries, song: Song, pool: Pool, objects: ObjectStore,
    keys: KeyRing, track_queries: TrackQueries,
) -> None:  # fmt: skip
    """The override gets the next number, in its bundle too."""

    async def take_number() -> None:
        worker.before_response = None
        await insert_reanalysis(pool, song)

    worker.before_response = take_number
    saved = await editor.save(save(song))
    assert saved.version == 3
    found = await artefacts(track_queries, song, 3)
    data = await objects.get_bytes(f"graphs/{found['bundle.k1b'].sha256}/bundle.k1b")
    assert read_bundle(data, {key_id(key): key for key in keys.public}).manifest.track_version == 3


async def test_a_graph_that_is_edited_meanwhile_is_not_lost(
    editor: BeatEditor, worker: BeatWorker, graphs: GraphQueries, song: Song, pool: Pool
) -> None:
    async def edit() -> None:
        worker.before_response = None
        await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited_graph(900)))

    worker.before_response = edit
    assert await refused(editor.save(save(song))) == ("graph_changed", 409)
    assert await pool.fetchval("SELECT count(*) FROM catalogue.versions") == 1


async def test_a_repeated_request_gets_the_first_response(editor: BeatEditor, song: Song, pool: Pool) -> None:
    """At once and one after the other; the key of another request is refused."""
    first, second = await asyncio.gather(*(editor.save(save(song, idempotency_key="one")) for _ in range(2)))
    assert first == second == await editor.save(save(song, idempotency_key="one", if_match=["old"]))
    assert await pool.fetchval("SELECT count(*) FROM catalogue.versions") == 2
    other = save(song, beats_ms=BEATS[::2], idempotency_key="one")
    assert await refused(editor.save(other)) == ("idempotency_key_reused", 422)


async def test_removing_brings_the_automatic_beats_back(
    editor: BeatEditor, beats: BeatQueries, graphs: GraphQueries, track_queries: TrackQueries, song: Song
) -> None:
    """In a new version, with the graph as it was edited since."""
    saved = await editor.save(save(song))
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=2, graph=edited_graph(500)))
    remove = RemoveBeatOverride(track_id=song.track_id, version=2, if_match=[saved.etag])
    back = await editor.remove(remove)
    assert (back.version, back.removed, back.f_measure_reference) == (3, True, "consensus")
    shown = await view(beats, song, 3)
    assert (shown.beats_ms, shown.override, shown.base_version) == (BEATS, None, 1)
    assert (await graphs.get_graph(GetGraph(track_id=song.track_id, version=3))).graph == edited_graph(500)
    found = await artefacts(track_queries, song, 3)
    assert found["bundle.k1b"].status == "present"
    assert found["graph.analysis.beat_override.json"].status == "missing"
    assert (
        found["track.genesis.json"].sha256
        == (await artefacts(track_queries, song, 1))["track.genesis.json"].sha256
    )
    assert (await track_queries.get_track(GetTrack(track_id=song.track_id))).beat_override is None
    assert await refused(editor.remove(remove)) == ("override_changed", 412)
    again = remove.model_copy(update={"if_match": None})
    assert await refused(editor.remove(again)) == ("override_missing", 404)


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"beats_ms": [5.0]}, ["beats_count"]),
        ({"beats_ms": []}, ["beats_count"]),
        ({"beats_ms": [5.0, 5.0]}, ["beats_rising"]),
        ({"beats": [1.0, 1.01, 99.0]}, ["beats_range", "beats_spacing"]),
        ({"beats_ms": [-0.1, 100.0], "downbeats": [2, 2]}, ["beats_range", *["downbeats_range"] * 2, "downbeats_rising"]),
        ({"beats_ms": [0.0] * 50_000}, ["beats_rising"] * 50 + ["beats_more"]),
    ],
)  # fmt: skip
async def test_beats_that_cannot_be_used_change_nothing(
    *,
    editor: BeatEditor,
    song: Song,
    pool: Pool,
    worker: BeatWorker,
    fields: dict[str, Any],
    rules: list[str],
) -> None:
    """Every fault is named; no worker is asked."""
    before = await counted(pool)
    with pytest.raises(QueryError) as caught:
        await editor.save(save(song, 1, **{"beats_ms": None} | fields))
    assert (caught.value.code, [each.rule for each in caught.value.violations]) == ("beats_invalid", rules)
    assert worker.queries == []
    assert await counted(pool) == before


async def test_a_worker_that_fails_changes_nothing(
    editor: BeatEditor, worker: BeatWorker, song: Song, pool: Pool
) -> None:
    async def fail() -> None:
        raise QueryError("simulation_failed", "The process died.", 503)

    before = await counted(pool)
    worker.before_response = fail
    assert await refused(editor.save(save(song))) == ("simulation_failed", 503)
    assert await counted(pool) == before


async def test_a_deleted_map_is_named(editor: BeatEditor, song: Song, pool: Pool) -> None:
    """Neither saving nor removing works without the map of the analysis."""
    await editor.save(save(song))
    await pool.execute("DELETE FROM catalogue.artefacts WHERE type = 'genesis_map' AND version = 1")
    assert await refused(editor.save(save(song))) == ("artefact_missing", 404)
    remove = RemoveBeatOverride(track_id=song.track_id, version=2)
    assert await refused(editor.remove(remove)) == ("artefact_missing", 404)


async def test_a_failed_show_leaves_the_map(
    *,
    writer: VersionWriter, worker: BeatWorker, song: Song, track_queries: TrackQueries
) -> None:  # fmt: skip
    """The version says why it has no bundle."""

    async def without_show(query: ApplyBeats) -> BeatsApplied:
        applied = await worker.apply(query.model_copy(update={"graph": None}))
        reason = Notice(code="graph_failed", message="The map cannot be used.")
        return applied.model_copy(update={"show_failed": reason})

    editor = BeatEditor(writer, without_show, worker.run, lambda: NOW)
    saved = await editor.save(save(song))
    assert [warning.code for warning in saved.warnings] == ["graph_failed"]
    found = await artefacts(track_queries, song, 2)
    assert (found["bundle.k1b"].status, found["graph.json"].status) == ("missing", "present")


async def test_a_crash_before_the_commit_leaves_nothing(
    editor: BeatEditor, beats: BeatQueries, song: Song, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map of the version was written already: it is not visible, and the next version overwrites it."""

    async def crash(*_: object) -> None:
        raise ConnectionError("the process died")

    before = await counted(pool)
    with monkeypatch.context() as patched:
        patched.setattr("k1_catalogue.beats.store.insert_edit", crash)
        with pytest.raises(ConnectionError):
            await editor.save(save(song, beats_ms=BEATS[::2]))
    assert await counted(pool) == before
    assert await refused(view(beats, song, 2)) == ("version_not_found", 404)
    assert (await editor.save(save(song))).version == 2
    assert (await view(beats, song, 2)).beats_ms == LATER
    assert (await counted(pool))["version_features"] == 2


async def test_an_analysis_that_ends_later_keeps_the_override_current(
    *,
    editor: BeatEditor, job_events: JobEventHandlers, song: Song, pool: Pool, objects: ObjectStore,
    track_queries: TrackQueries,
) -> None:  # fmt: skip
    again = await insert_reanalysis(pool, song)
    assert (await editor.save(save(song))).version == 3
    await job_events.handle_completed(message(await again.analysed(objects, graph=GRAPH)))
    detail = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert detail.track.current_version == 3


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"operation": "half"}, BEATS[::2]),
        ({"operation": "half", "phase": 1}, BEATS[1::2]),
        ({"operation": "shift", "shift_ms": 20.0}, LATER),
        (
            {"operation": "nudge", "beats": [1.0, 2.0], "moves": [{"index": 1, "by_ms": 0.5}]},
            [1000.0, 2000.5],
        ),
        ({"operation": "set_meter", "beats_per_bar": 3}, BEATS),
    ],
)
async def test_a_preview_saves_nothing(
    beats: BeatQueries, song: Song, pool: Pool, fields: dict[str, Any], expected: list[float]
) -> None:
    before = await counted(pool)
    query = PreviewBeats.model_validate({"track_id": song.track_id, "version": 1, **fields})
    found = await beats.preview(query)
    assert found.beats_ms == pytest.approx(expected)
    assert await counted(pool) == before


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"operation": "half", "from_index": 900}, "operation_invalid"),
        ({"operation": "double", "beats_ms": [0.0, 60.0]}, "beats_invalid"),
        ({"operation": "shift", "shift_ms": 86_000_000.0}, "beats_invalid"),
        ({"operation": "nudge", "moves": [{"index": 0, "by_ms": -1000.0}]}, "beats_invalid"),
        ({"operation": "set_downbeat", "index": 7, "to_index": 3}, "operation_invalid"),
        ({"operation": "set_downbeat", "index": 49_000}, "operation_invalid"),
        ({"operation": "double", "beats_ms": [0.0, 1.0]}, "beats_invalid"),
    ],
)
async def test_an_operation_that_does_not_fit_is_refused(
    beats: BeatQueries, song: Song, fields: dict[str, Any], code: str
) -> None:
    query = PreviewBeats.model_validate({"track_id": song.track_id, "version": 1, **fields})
    assert await refused(beats.preview(query)) == (code, 422)
