"""Tests deleting, undoing and restoring artefacts, and what stays because it is needed."""

from datetime import timedelta

import pytest

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.messages.catalogue.storage import RestoreArtefact
from k1_contracts.messages.catalogue.tracks import GetVersion
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.artefacts.conftest import ADA, MONTH, code, deploy, refs
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import analyse


async def test_delete_undo_restore(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    deletions: ArtefactDeletions,
    track_queries: TrackQueries,
    clock: Clock,
) -> None:
    """A token undoes for 30 seconds; without it an artefact can be restored for 30 days; all of it is audited."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]
    with acting_as(ADA):
        deleted = await deletions.delete(target)
    assert deleted.expires_at == clock.now + timedelta(seconds=30)
    listed = await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=1))
    [gone] = [each for each in listed.artefacts if each.type == "metrics"]
    assert (gone.status, gone.url, gone.inline_json, gone.deleted_at) == ("deleted", None, None, clock.now)
    assert "metrics" not in await refs(pool, song)
    with pytest.raises(QueryError) as error:
        await deletions.delete(target)
    assert code(error) == "artefact_not_found"
    wrong = RestoreArtefact(**target.model_dump(), undo_token="x" * 43)
    right = RestoreArtefact(**target.model_dump(), undo_token=deleted.undo_token)
    clock.forward(timedelta(seconds=30))
    with pytest.raises(QueryError) as error:
        await deletions.restore(wrong)
    assert code(error) == "undo_expired"
    assert (await deletions.restore(right)).artefact.status == "present"
    assert "metrics" in await refs(pool, song)

    again = await deletions.delete(target)
    late = RestoreArtefact(**target.model_dump(), undo_token=again.undo_token)
    clock.forward(timedelta(seconds=31))
    with pytest.raises(QueryError) as error:
        await deletions.restore(late)
    assert code(error) == "undo_expired"
    await deletions.restore(RestoreArtefact(**target.model_dump()))
    await deletions.delete(target)
    clock.forward(MONTH + timedelta(seconds=1))
    with pytest.raises(QueryError) as error:
        await deletions.restore(RestoreArtefact(**target.model_dump()))
    assert code(error) == "artefact_expired"
    rows = await pool.fetch(
        "SELECT actor ->> 'name' AS actor, action, detail FROM catalogue.track_events WHERE action LIKE 'artefact%' ORDER BY id"
    )
    assert tuple(rows[0]) == ("Ada", "artefact deleted", "phase2b_metrics.json of version 1")
    assert [row["action"].rpartition(" ")[2] for row in rows] == [
        "deleted",
        "restored",
        "deleted",
        "restored",
        "deleted",
    ]


@pytest.mark.parametrize(
    ("status", "refused"), [("staging", True), ("succeeded", True), ("failed", False), ("cancelled", False)]
)
async def test_what_a_deployment_needs_stays(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    deletions: ArtefactDeletions,
    status: str,
    refused: bool,
) -> None:
    """The map of a deployed version cannot be deleted; its metrics can."""
    song = await analyse(job_events, objects)
    await deploy(pool, song, status)
    named = await refs(pool, song)
    if refused:
        with pytest.raises(QueryError) as error:
            await deletions.delete(named["genesis_map"])
        assert (code(error), error.value.status) == ("artefact_in_use", 409)
    else:
        await deletions.delete(named["genesis_map"])
    await deletions.delete(named["metrics"])
