"""Tests links to artefacts: who may open, list and revoke them."""

import json
from datetime import timedelta

import pytest

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_contracts.actors import Actor
from k1_contracts.messages.catalogue.storage import CopyLink, ListLinks, OpenLink, RestoreArtefact, RevokeLink
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.artefacts.conftest import ADA, code, refs
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import analyse

BOB = Actor(kind="user", id="usr_bob", name="Bob", role="editor")


ADMIN = Actor(kind="user", id="usr_adm", name="Admin", role="admin")


async def test_links(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    links: LinkQueries,
    deletions: ArtefactDeletions,
    clock: Clock,
) -> None:
    """A link opens its artefact until it is revoked, expires, or the artefact is deleted; its token is not stored."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]

    async def end_of(token: str) -> str | None:
        try:
            await links.open(OpenLink(token=token))
        except QueryError as error:
            return error.code
        return None

    with acting_as(ADA):
        made = await links.create(CopyLink(**target.model_dump(), expires_in=60))
    opened = await links.open(OpenLink(token=made.token))
    assert (opened.filename, opened.size_bytes) == ("phase2b_metrics.json", made.link.size_bytes)
    await links.open(OpenLink(token=made.token, count=False))
    stored = await pool.fetchval("SELECT row_to_json(l)::text FROM catalogue.links AS l")
    assert made.token not in stored
    assert json.loads(stored)["uses"] == 1
    assert await end_of(made.link.id) == "link_not_found"  # the id in lists opens nothing

    with acting_as(BOB):
        assert (await links.list_links(ListLinks())).total == 0
        with pytest.raises(QueryError) as error:
            await links.revoke(RevokeLink(token=made.link.id))
        assert code(error) == "link_not_found"
    await deletions.delete(target)
    assert await end_of(made.token) == "link_revoked"
    await deletions.restore(RestoreArtefact(**target.model_dump()))
    assert await end_of(made.token) is None
    with acting_as(ADMIN):
        assert [each.id for each in (await links.list_links(ListLinks())).items] == [made.link.id]
    with acting_as(ADA):
        first = await links.revoke(RevokeLink(token=made.link.id))
        assert await links.revoke(RevokeLink(token=made.token)) == first
    assert await end_of(made.token) == "link_revoked"
    other = await links.create(CopyLink(**target.model_dump(), expires_in=60))
    clock.forward(timedelta(seconds=60))
    assert await end_of(other.token) == "link_expired"
    assert (await links.list_links(ListLinks())).items == []


async def test_links_by_page(
    pool: Pool, job_events: JobEventHandlers, objects: ObjectStore, links: LinkQueries
) -> None:
    """Every link is on exactly one page."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]
    made = {(await links.create(CopyLink(**target.model_dump()))).link.id for _ in range(5)}
    seen: list[str] = []
    cursor = None
    while True:
        page = await links.list_links(ListLinks(limit=2, cursor=cursor))
        seen += [each.id for each in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert (page.total, len(seen), set(seen)) == (5, 5, made)
