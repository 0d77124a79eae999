"""Tests of the handlers of uploads and analyses, with real stores."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.results import read_result
from k1_catalogue.maps.packing import expand
from k1_catalogue.maps.store import MapStore
from k1_platform.errors import PermanentError, TransientError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.job_tables import insert_reanalysis, read_status, read_totals
from services.catalogue.tests.song_samples import Song, analyse, genesis, message, upload


async def test_from_upload_to_ready(
    job_events: JobEventHandlers, pool: Pool, maps: MapStore, objects: ObjectStore
) -> None:
    """The usual events give a track with its first version, its map and its figures."""
    song, content = Song(), genesis()
    await job_events.handle_track_uploaded(message(song.uploaded(tags=["synth", "80s"])))
    assert await read_status(pool, song) == ("processing", None, "processing", "queued")
    await job_events.handle_started(message(song.started()))
    assert await read_status(pool, song) == ("processing", None, "processing", "processing")
    await job_events.handle_completed(message(await song.analysed(objects, content)))
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    stored = await maps.get(song.track_id, 1)
    assert stored is not None
    assert content == expand(stored.members())
    figures = await pool.fetchrow("SELECT bpm, f_measure, duration_ms, tags FROM catalogue.tracks")
    assert tuple(figures or ()) == (128.0, 0.95, 20_000.0, ["synth", "80s"])
    assert await read_totals(pool, "tracks") == {"ready": 1}
    assert await read_totals(pool, "jobs") == {"completed": 1}


async def test_the_error_of_an_estimate_and_the_cost_are_measured(
    job_events: JobEventHandlers, job_metrics: CollectorRegistry, objects: ObjectStore
) -> None:
    """The second song was expected to take 2 s and ended 20 s after its upload; a repeated event counts once.

    So does its cost: an hour of a core is 0.04 dollars, of which a quarter was the network's.
    """
    await analyse(job_events, objects)
    song = await upload(job_events, 1)
    used = {"cpu_s": 3600.0, "inference_s": 900.0, "bytes_stored": 0}
    completed = message((await song.analysed(objects)).model_copy(update=used))
    await job_events.handle_completed(completed)
    await job_events.handle_completed(completed)
    errors = "k1_catalogue_estimate_error_seconds"
    measured = {
        name: job_metrics.get_sample_value(f"{errors}_{name}", {"direction": "late"})
        for name in ("sum", "count")
    }
    assert measured == {"sum": 18.0, "count": 1.0}
    cost = {
        part: job_metrics.get_sample_value("k1_catalogue_cost_usd_total", {"part": part})
        for part in ("processing", "inference")
    }
    assert cost == pytest.approx({"processing": 0.03, "inference": 0.01})


async def test_low_agreement_is_a_warning(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """An F-measure below 0.80 makes the status a warning."""
    song = await analyse(job_events, objects, genesis(f_measure=0.7))
    assert await read_status(pool, song) == ("warning", 1, "warning", "completed")


async def test_repeated_and_concurrent_deliveries(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """Every event that is delivered three times, concurrently, has its effect once."""
    song = Song()
    completed = await song.analysed(objects)
    for handle, event in (
        (job_events.handle_track_uploaded, message(song.uploaded())),
        (job_events.handle_started, message(song.started())),
        (job_events.handle_completed, message(completed)),
    ):
        await asyncio.gather(*(handle(event) for _ in range(3)))
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    audit = await pool.fetch("SELECT action FROM catalogue.track_events ORDER BY id")
    assert [row["action"] for row in audit] == ["uploaded", "started", "completed"]
    assert await pool.fetchval("SELECT count(*) FROM catalogue.artefacts") == 2


async def test_two_events_about_one_upload(job_events: JobEventHandlers, pool: Pool) -> None:
    """Two events about the same upload give one track with one version."""
    song = await upload(job_events)
    await job_events.handle_track_uploaded(message(song.uploaded(title="Another"), number=2))
    rows = await pool.fetch("SELECT title FROM catalogue.tracks JOIN catalogue.versions ON track_id = id")
    assert [row["title"] for row in rows] == ["Night Drive"]


async def test_an_event_before_the_upload_is_transient(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """An event before the upload is transient and changes nothing; delivered again, it has its effect."""
    song = Song()
    completed = message(await song.analysed(objects))
    for handle, event in (
        (job_events.handle_started, message(song.started())),
        (job_events.handle_completed, completed),
        (job_events.handle_failed, message(song.failed())),
    ):
        with pytest.raises(TransientError, match=song.job_id):
            await handle(event)
    await job_events.handle_track_uploaded(message(song.uploaded()))
    await job_events.handle_completed(completed)
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")


async def test_late_events(job_events: JobEventHandlers, pool: Pool, objects: ObjectStore) -> None:
    """Started, failed and cancelled after completed change nothing but the worker of the job."""
    song = await analyse(job_events, objects)
    await job_events.handle_started(message(song.started()))
    await job_events.handle_failed(message(song.failed()))
    await job_events.handle_cancelled(message(song.cancelled()))
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    assert await pool.fetchval("SELECT worker_id FROM catalogue.jobs") == "wrk-1"


async def test_cancelled_while_it_runs(job_events: JobEventHandlers, pool: Pool) -> None:
    """The job is cancelled; the track has no map, so it counts as failed."""
    song = await upload(job_events)
    await job_events.handle_started(message(song.started()))
    await job_events.handle_cancelled(message(song.cancelled()))
    assert await read_status(pool, song) == ("failed", None, "failed", "cancelled")


async def test_a_failed_reanalysis_leaves_the_track_as_it_was(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """The version in use, its figures and the status stay while the reanalysis runs and after it fails."""
    song = await analyse(job_events, objects)
    again = await insert_reanalysis(pool, song)
    await job_events.handle_started(message(again.started()))
    assert await read_status(pool, again) == ("ready", 1, "processing", "processing")
    await job_events.handle_failed(message(again.failed()))
    assert await read_status(pool, again) == ("ready", 1, "failed", "failed")
    assert await pool.fetchval("SELECT bpm FROM catalogue.tracks") == 128.0


async def test_a_reanalysis_replaces_the_version_in_use(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """The newest map is in use, and the older one stays readable."""
    song = await analyse(job_events, objects)
    again = await insert_reanalysis(pool, song)
    await job_events.handle_completed(message(await again.analysed(objects, genesis(f_measure=0.5, seed=2))))
    assert await read_status(pool, again) == ("warning", 2, "warning", "completed")
    assert await read_status(pool, song) == ("warning", 2, "ready", "completed")


def invalid(content: dict[str, Any]) -> dict[str, Any]:
    content["layers"]["rhythm"]["beat_grid_ms"][3] = 0.0
    return content


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("wrong bytes", "artefact_differs"),
        ("no object", "artefact_missing"),
        ("no map named", "genesis_absent"),
        ("not JSON", "genesis_invalid"),
        ("beats that do not rise", "genesis_invalid"),
    ],
)
async def test_a_completion_without_a_usable_map(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore, fault: str, code: str
) -> None:
    """The job fails with the reason, and the error is permanent, so that the message becomes a dead letter."""
    song = await upload(job_events)
    content = invalid(genesis()) if fault == "beats that do not rise" else genesis()
    event = await song.analysed(objects, content)
    match fault:
        case "wrong bytes":
            await objects.put_bytes(event.artefacts[0].key, b"{}", "application/json")
        case "no object":
            await objects.delete(event.artefacts[0].key)
        case "no map named":
            event = event.model_copy(update={"artefacts": event.artefacts[1:]})
        case "not JSON":
            event = song.completed([await song.artefact(objects, "genesis_map", "x.json", b"{{")])
        case _:
            pass
    with pytest.raises(PermanentError) as caught:
        await job_events.handle_completed(message(event))
    assert caught.value.code == code
    assert await read_status(pool, song) == ("failed", None, "failed", "failed")
    error = await pool.fetchval("SELECT error ->> 'code' FROM catalogue.jobs")
    assert error == code


async def test_a_redriven_dead_letter_completes_the_job(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """After the lost object is restored, the same message succeeds."""
    song, content = Song(), genesis()
    await job_events.handle_track_uploaded(message(song.uploaded()))
    event = message(await song.analysed(objects, content))
    await objects.delete(event.body.artefacts[1].key)
    with pytest.raises(PermanentError):
        await job_events.handle_completed(event)
    await song.analysed(objects, content)
    await job_events.handle_completed(event)
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    assert await pool.fetchval("SELECT error FROM catalogue.jobs") is None


async def test_a_map_without_its_row_is_recorded_on_redelivery(
    job_events: JobEventHandlers, pool: Pool, maps: MapStore, objects: ObjectStore
) -> None:
    """A map without its row is stored again and recorded when the message is delivered again."""
    song = Song()
    event = await song.analysed(objects)
    await job_events.handle_track_uploaded(message(song.uploaded()))
    await maps.put(song.track_id, 1, (await read_result(objects, event)).content)
    assert await read_status(pool, song) == ("processing", None, "processing", "queued")
    await job_events.handle_completed(message(event))
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")


async def test_a_completion_of_another_job(job_events: JobEventHandlers, pool: Pool) -> None:
    """An event that names another version than its job is a permanent error, not a transient one."""
    song = await upload(job_events)
    with pytest.raises(PermanentError) as caught:
        await job_events.handle_started(message(song.reanalysis(song.job_id, 2).started()))
    assert caught.value.code == "job_mismatch"


async def test_nul_characters_are_removed(job_events: JobEventHandlers, pool: Pool) -> None:
    """A NUL in a title, tag, file name or error message is removed, and the rest is stored."""
    song = Song()
    await job_events.handle_track_uploaded(
        message(song.uploaded(title="a\0b", artist="c\0", tags=["\0d"], filename="e\0.mp3"))
    )
    await job_events.handle_failed(message(song.failed().model_copy(update={"message": "f\0"})))
    row = await pool.fetchrow("SELECT title, artist, tags, filename FROM catalogue.tracks")
    assert tuple(row or ()) == ("ab", "c", ["d"], "e.mp3")
