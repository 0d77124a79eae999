"""Makes, lists, opens and revokes links to artefacts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_catalogue import errors
from k1_catalogue.artefacts import link_store
from k1_catalogue.artefacts.deletions import audit_artefact, locked_artefact
from k1_catalogue.artefacts.link_store import StoredLink
from k1_catalogue.artefacts.media import SERVICE_URL_LIFETIME
from k1_catalogue.artefacts.tokens import new_token, token_hash
from k1_catalogue.tracks.artefact_store import artefact_of_version
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.media import StoredObject
from k1_contracts.messages.catalogue.storage import (
    CopyLink,
    DeleteArtefact,
    Link,
    LinkPage,
    LinkRevoked,
    ListLinks,
    NewLink,
    OpenLink,
    RevokeLink,
)
from k1_platform.cursors import cursor_after, row_before
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore

_WALK: Final = "links"


@dataclass(frozen=True, slots=True)
class LinkQueries:
    """Answers from the table of links. Every request looks there, so a revoked link ends at once."""

    pool: Pool
    objects: ObjectStore
    clock: Callable[[], datetime]

    async def create(self, query: CopyLink) -> NewLink:
        """Make a link to an artefact that is present."""
        now, token = self.clock(), new_token()
        owner_id, owner_name = _owner()
        async with self.pool.acquire() as connection, connection.transaction():
            found = await locked_artefact(connection, query)
            artefact = found.artefact
            if artefact.deleted_at is not None:
                raise errors.artefact_not_found(query.artefact_id)
            link = Link(
                id=new_id("lnk"),
                track_id=query.track_id,
                version=query.version,
                artefact_id=query.artefact_id,
                name=artefact.name,
                size_bytes=artefact.size_bytes or 0,
                owner_id=owner_id,
                owner_name=owner_name,
                created_at=now,
                expires_at=now + timedelta(seconds=query.expires_in),
                uses=0,
            )
            content_type = artefact.content_type or "application/octet-stream"
            new = StoredLink(link, found.key, artefact.sha256 or "", content_type, None)
            await link_store.insert_link(connection, new, token_hash(token))
            await audit_artefact(connection, query, now, "link made", f"{link.id} to {artefact.name}")
        return NewLink(link=link, token=token, path=f"/api/v1/links/{token}")

    async def list_links(self, query: ListLinks) -> LinkPage:
        """Return a page of the links that still work: the actor's own, for an admin all."""
        actor, now, last = current_actor(), self.clock(), row_before(query.cursor, _WALK, by_time=False)
        owner_id = None if actor is None or actor.role == "admin" else actor.id
        async with self.pool.acquire() as connection:
            total = await link_store.count_links(connection, owner_id=owner_id, now=now)
            found = await link_store.list_links(
                connection, owner_id=owner_id, now=now, before_id=last and last.id, limit=query.limit + 1
            )
        items = found[: query.limit]
        more = len(found) > query.limit
        next_cursor = cursor_after(_WALK, items[-1].id) if more else None
        return LinkPage(total=total, items=items, next_cursor=next_cursor)

    async def revoke(self, query: RevokeLink) -> LinkRevoked:
        """Revoke a link by its token or id; repeating it changes nothing. Only an admin revokes those of others."""
        actor, now = current_actor(), self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            found = await link_store.lock_link(connection, query.token, token_hash(query.token))
            if found is None:
                raise errors.link_not_found()
            if actor is not None and actor.role != "admin" and actor.id != found.link.owner_id:
                raise errors.link_not_found()
            if found.revoked_at is not None:
                return LinkRevoked(id=found.link.id, revoked_at=found.revoked_at)
            await link_store.revoke_link(connection, found.link.id, now)
            link = found.link
            about = DeleteArtefact(track_id=link.track_id, version=link.version, artefact_id=link.artefact_id)
            await audit_artefact(connection, about, now, "link revoked", f"{link.id} to {link.name}")
        return LinkRevoked(id=link.id, revoked_at=now)

    async def open(self, query: OpenLink) -> StoredObject:
        """Return the object behind a link for whoever holds its token, and count the use."""
        now = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            found = await link_store.find_link(connection, token_sha256=token_hash(query.token))
            if found is None:
                raise errors.link_not_found()
            link = found.link
            if found.revoked_at is not None or link.expires_at <= now:
                raise errors.link_ended(revoked=found.revoked_at is not None)
            artefact = await artefact_of_version(connection, link.track_id, link.version, link.artefact_id)
            if artefact is not None and artefact.artefact.deleted_at is not None:
                raise errors.link_ended(revoked=True)
            if query.count:
                await link_store.count_use(connection, link.id, now)
        return StoredObject(
            url=self.objects.signed_url(found.key, expires=SERVICE_URL_LIFETIME, internal=True),
            size_bytes=link.size_bytes,
            sha256=found.sha256,
            content_type=found.content_type,
            filename=link.name,
        )


def _owner() -> tuple[str, str]:
    """Return the id and the name of who makes a link."""
    actor = current_actor()
    return (actor.id, actor.name) if actor else ("service:gateway", "service:gateway")
