"""Facts applied to real stores."""

import asyncio
from typing import Any

import pytest

from k1_catalogue.artefacts import read_result
from k1_catalogue.intake import Intake
from k1_catalogue.maps import GenesisMaps
from k1_catalogue.packing import expand
from k1_contracts.ids import new_id
from k1_platform.errors import PermanentError, TransientError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.songs import Song, event, genesis


async def state(pool: Pool, song: Song) -> tuple[str, int | None, str, str]:
    """The status of the track, its current version, and the status of the song's version and job."""
    row = await pool.fetchrow(
        """
        SELECT t.status AS track, t.current_version, v.status AS version, j.status AS job
        FROM catalogue.tracks t
        JOIN catalogue.versions v ON v.track_id = t.id
        JOIN catalogue.jobs j ON j.id = v.job_id
        WHERE j.id = $1
        """,
        song.job_id,
    )
    assert row is not None
    return tuple(row)


async def totals(pool: Pool, kind: str) -> dict[str, int]:
    rows = await pool.fetch(
        "SELECT status, sum(n)::int AS n FROM catalogue.totals WHERE kind = $1 GROUP BY status", kind
    )
    return {row["status"]: row["n"] for row in rows if row["n"]}


async def reanalysis(pool: Pool, song: Song) -> Song:
    """A second version of the song, as `analysis.request` makes it."""
    again = song.reanalysis(new_id("job"), 2)
    await pool.execute(
        "INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)"
        " VALUES ($1, 2, $2, 'processing', now())",
        song.track_id,
        again.job_id,
    )
    await pool.execute(
        "INSERT INTO catalogue.jobs (id, track_id, version, status, priority, created_at)"
        " VALUES ($1, $2, 2, 'queued', 5, now())",
        again.job_id,
        song.track_id,
    )
    return again


async def test_from_upload_to_ready(
    intake: Intake, pool: Pool, maps: GenesisMaps, objects: ObjectStore
) -> None:
    """The ordinary way: a track with its first version, its map and its figures."""
    song, content = Song(), genesis()
    await intake.track_uploaded(event(song.uploaded(tags=["synth", "80s"])))
    assert await state(pool, song) == ("processing", None, "processing", "queued")
    await intake.analysis_started(event(song.started()))
    assert await state(pool, song) == ("processing", None, "processing", "processing")
    await intake.analysis_completed(event(await song.analysed(objects, content)))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    stored = await maps.get(song.track_id, 1)
    assert stored is not None
    assert content == expand(stored.whole())
    figures = await pool.fetchrow("SELECT bpm, f_measure, duration_ms, tags FROM catalogue.tracks")
    assert tuple(figures or ()) == (128.0, 0.95, 20_000.0, ["synth", "80s"])
    assert await totals(pool, "tracks") == {"ready": 1}
    assert await totals(pool, "jobs") == {"completed": 1}


async def test_low_agreement_is_a_warning(intake: Intake, pool: Pool, objects: ObjectStore) -> None:
    """Below an F-measure of 0.80 a person is asked to look."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects, genesis(f_measure=0.7))))
    assert await state(pool, song) == ("warning", 1, "warning", "completed")


async def test_everything_twice_and_at_once(intake: Intake, pool: Pool, objects: ObjectStore) -> None:
    """Every fact delivered three times, also at the same moment, has its effect once."""
    song = Song()
    completed = await song.analysed(objects)
    for handle, fact in (
        (intake.track_uploaded, event(song.uploaded())),
        (intake.analysis_started, event(song.started())),
        (intake.analysis_completed, event(completed)),
    ):
        await asyncio.gather(*(handle(fact) for _ in range(3)))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    audit = await pool.fetch("SELECT action FROM catalogue.audit ORDER BY id")
    assert [row["action"] for row in audit] == ["uploaded", "started", "completed"]
    assert await pool.fetchval("SELECT count(*) FROM catalogue.artefacts") == 2


async def test_uploaded_twice_as_two_events(intake: Intake, pool: Pool) -> None:
    """The same upload told by two events is one track with one version."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.track_uploaded(event(song.uploaded(title="Another"), told=2))
    rows = await pool.fetch("SELECT title FROM catalogue.tracks JOIN catalogue.versions ON track_id = id")
    assert [row["title"] for row in rows] == ["Night Drive"]


async def test_a_job_before_its_track_comes_again(intake: Intake, pool: Pool, objects: ObjectStore) -> None:
    """A fact that overtook the upload is not lost and leaves no trace: it comes again and then counts."""
    song = Song()
    completed = event(await song.analysed(objects))
    for handle, fact in (
        (intake.analysis_started, event(song.started())),
        (intake.analysis_completed, completed),
        (intake.analysis_failed, event(song.failed())),
    ):
        with pytest.raises(TransientError, match=song.job_id):
            await handle(fact)
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(completed)
    assert await state(pool, song) == ("ready", 1, "ready", "completed")


async def test_late_facts(intake: Intake, pool: Pool, objects: ObjectStore) -> None:
    """Started, failed and cancelled after completed change nothing but who worked on it."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects)))
    await intake.analysis_started(event(song.started()))
    await intake.analysis_failed(event(song.failed()))
    await intake.analysis_cancelled(event(song.cancelled()))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    assert await pool.fetchval("SELECT worker_id FROM catalogue.jobs") == "wrk-1"


async def test_cancelled_while_it_runs(intake: Intake, pool: Pool) -> None:
    """The job is cancelled; the track has no map, so it counts as failed."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_started(event(song.started()))
    await intake.analysis_cancelled(event(song.cancelled()))
    assert await state(pool, song) == ("failed", None, "failed", "cancelled")


async def test_a_failed_reanalysis_leaves_the_track_as_it_was(
    intake: Intake, pool: Pool, objects: ObjectStore
) -> None:
    """The version in use, its figures and the status stay while another one runs and when it fails."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects)))
    again = await reanalysis(pool, song)
    await intake.analysis_started(event(again.started()))
    assert await state(pool, again) == ("ready", 1, "processing", "processing")
    await intake.analysis_failed(event(again.failed()))
    assert await state(pool, again) == ("ready", 1, "failed", "failed")
    assert await pool.fetchval("SELECT bpm FROM catalogue.tracks") == 128.0


async def test_a_reanalysis_takes_the_place_of_the_first(
    intake: Intake, pool: Pool, objects: ObjectStore
) -> None:
    """The newest map is in use, and the older one stays readable."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects)))
    again = await reanalysis(pool, song)
    await intake.analysis_completed(event(await again.analysed(objects, genesis(f_measure=0.5, seed=2))))
    assert await state(pool, again) == ("warning", 2, "warning", "completed")
    assert await state(pool, song) == ("warning", 2, "ready", "completed")


def invalid(content: dict[str, Any]) -> dict[str, Any]:
    content["layers"]["rhythm"]["beat_grid_ms"][3] = 0.0
    return content


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("wrong bytes", "artefact_differs"),
        ("no object", "artefact_missing"),
        ("no map named", "genesis_absent"),
        ("not JSON", "genesis_invalid"),
        ("beats that do not rise", "genesis_invalid"),
    ],
)
async def test_a_completion_without_a_usable_map(
    intake: Intake, pool: Pool, objects: ObjectStore, spoil: str, code: str
) -> None:
    """Nobody waits for it for ever: the job fails with the reason, and the message is dead-lettered."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    content = invalid(genesis()) if spoil == "beats that do not rise" else genesis()
    fact = await song.analysed(objects, content)
    match spoil:
        case "wrong bytes":
            await objects.put_bytes(fact.artefacts[0].key, b"{}", "application/json")
        case "no object":
            await objects.delete(fact.artefacts[0].key)
        case "no map named":
            fact = fact.model_copy(update={"artefacts": fact.artefacts[1:]})
        case "not JSON":
            fact = song.completed([await song.artefact(objects, "genesis_map", "x.json", b"{{")])
        case _:
            pass
    with pytest.raises(PermanentError) as caught:
        await intake.analysis_completed(event(fact))
    assert caught.value.code == code
    assert await state(pool, song) == ("failed", None, "failed", "failed")
    error = await pool.fetchval("SELECT error ->> 'code' FROM catalogue.jobs")
    assert error == code


async def test_a_dead_letter_driven_anew_completes_the_job(
    intake: Intake, pool: Pool, objects: ObjectStore
) -> None:
    """When the lost object is back, the same message succeeds."""
    song, content = Song(), genesis()
    await intake.track_uploaded(event(song.uploaded()))
    fact = event(await song.analysed(objects, content))
    await objects.delete(fact.body.artefacts[1].key)
    with pytest.raises(PermanentError):
        await intake.analysis_completed(fact)
    await song.analysed(objects, content)
    await intake.analysis_completed(fact)
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    assert await pool.fetchval("SELECT error FROM catalogue.jobs") is None


async def test_the_death_between_the_two_databases_heals(
    intake: Intake, pool: Pool, maps: GenesisMaps, objects: ObjectStore
) -> None:
    """A map that was written without its row is written again and told of when the message comes again."""
    song = Song()
    fact = await song.analysed(objects)
    await intake.track_uploaded(event(song.uploaded()))
    await maps.put(song.track_id, 1, (await read_result(objects, fact)).content)
    assert await state(pool, song) == ("processing", None, "processing", "queued")
    await intake.analysis_completed(event(fact))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")


async def test_a_completion_of_another_job(intake: Intake, pool: Pool) -> None:
    """A job that belongs to another version is a contradiction, not something to wait for."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    with pytest.raises(PermanentError) as caught:
        await intake.analysis_started(event(song.reanalysis(song.job_id, 2).started()))
    assert caught.value.code == "job_mismatch"


async def test_characters_that_no_database_holds(intake: Intake, pool: Pool) -> None:
    """A NUL in a title, tag, file name or error message is left out, and nothing is lost with it."""
    song = Song()
    await intake.track_uploaded(
        event(song.uploaded(title="a\0b", artist="c\0", tags=["\0d"], filename="e\0.mp3"))
    )
    await intake.analysis_failed(event(song.failed().model_copy(update={"message": "f\0"})))
    row = await pool.fetchrow("SELECT title, artist, tags, filename FROM catalogue.tracks")
    assert tuple(row or ()) == ("ab", "c", ["d"], "e.mp3")
